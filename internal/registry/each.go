package registry

import (
	"context"
	"errors"
	"sync"
)

// atOnce is how many questions are under way to the index.
const atOnce = 8

// Each asks about each of many, some side by side. Answers are in the order of the questions; errors are joined.
func Each[T any](ctx context.Context, about []string, ask func(context.Context, string) (T, error)) ([]T, error) {
	answers, errs := make([]T, len(about)), make([]error, len(about))
	var wg sync.WaitGroup
	turns := make(chan struct{}, atOnce)
	for i, one := range about {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			answers[i], errs[i] = ask(ctx, one)
		})
	}
	wg.Wait()
	return answers, errors.Join(errs...)
}
