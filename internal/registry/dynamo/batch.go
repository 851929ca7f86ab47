package dynamo

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/registry"
)

// Bounds of reading many contracts at once.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
const (
	batchKeys  = 100 // items that one BatchGetItem takes
	batches    = 8   // calls under way at once
	batchTries = 10  // calls for one batch, while DynamoDB leaves some of its keys unprocessed
	// DynamoDB leaves keys unprocessed when it is asked for too much, and asks for exponential backoff between the calls.
	batchPause, longestPause = 20 * time.Millisecond, time.Second
)

// FindAll reads the contracts in force of many secrets, each named once: a call per hundred. They come in no order; a
// secret without a contract in force is left out. Errors: RegistryUnavailable.
func (r *Registry) FindAll(ctx context.Context, secrets []string) ([]contract.Contract, error) {
	standings, err := r.all(ctx, secrets, "secret, contract, due_pool")
	if err != nil {
		return nil, err
	}
	contracts := make([]contract.Contract, len(standings))
	for i, s := range standings {
		contracts[i] = s.Contract
	}
	return contracts, nil
}

// Standings reads how many secrets stand, with everything that the registry knows of them. Otherwise as FindAll.
func (r *Registry) Standings(ctx context.Context, secrets []string) ([]registry.Standing, error) {
	return r.all(ctx, secrets, "")
}

// all reads the contract items of secrets, or the named attributes of them.
func (r *Registry) all(ctx context.Context, secrets []string, attributes string) ([]registry.Standing, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		mu    sync.Mutex
		all   = make([]registry.Standing, 0, len(secrets))
		first error
		wg    sync.WaitGroup
		turns = make(chan struct{}, batches)
	)
	for len(secrets) > 0 {
		n := min(len(secrets), batchKeys)
		batch := secrets[:n]
		secrets = secrets[n:]
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			found, err := r.batch(ctx, batch, attributes)
			mu.Lock()
			defer mu.Unlock()
			if err != nil && first == nil {
				first = err
				cancel() // the others fail of it, and are not the reason
			}
			all = append(all, found...)
		})
	}
	wg.Wait()
	return all, first
}

// batch reads the contracts of at most a hundred secrets.
func (r *Registry) batch(ctx context.Context, secrets []string, attributes string) ([]registry.Standing, error) {
	ask := types.KeysAndAttributes{ConsistentRead: aws.Bool(true)}
	if attributes != "" {
		ask.ProjectionExpression = &attributes
	}
	for _, secret := range secrets {
		ask.Keys = append(ask.Keys, key(secret, contractItem))
	}
	what := "read the contracts of " + secrets[0] + " and others"
	found := make([]registry.Standing, 0, len(secrets))
	pause := batchPause
	for try := range batchTries {
		if try > 0 {
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return nil, unavailable(ctx.Err(), "%s", what)
			}
			pause = min(2*pause, longestPause)
		}
		out, err := r.DB.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{r.Contracts: ask}})
		if err != nil {
			return nil, unavailable(err, "%s", what)
		}
		for _, item := range out.Responses[r.Contracts] {
			if item["due_pool"] == nil {
				continue // withdrawn
			}
			entry, err := parse(item)
			if err != nil {
				return nil, err
			}
			found = append(found, standing(entry, item))
		}
		if ask.Keys = out.UnprocessedKeys[r.Contracts].Keys; len(ask.Keys) == 0 {
			return found, nil
		}
	}
	return nil, fault.New(fault.RegistryUnavailable, "%s: DynamoDB left %d of them unprocessed %d times", what, len(ask.Keys), batchTries)
}
