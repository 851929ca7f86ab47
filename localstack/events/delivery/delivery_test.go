package delivery_test

import (
	"testing"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/events/delivery"
)

func TestKind(t *testing.T) {
	for arn, want := range map[string]string{
		"arn:aws:lambda:us-east-1:000000000000:function:f":            "lambda",
		"arn:aws:lambda:us-east-1:000000000000:layer:f":               "",
		"arn:aws:states:us-east-1:000000000000:stateMachine:m":        "states",
		"arn:aws:states:us-east-1:000000000000:execution:m:x":         "",
		"arn:aws:sqs:us-east-1:000000000000:q":                        "sqs",
		"arn:aws:sns:us-east-1:000000000000:t":                        "sns",
		"arn:aws:events:us-east-1:000000000000:event-bus/default":     "events",
		"arn:aws:events:us-east-1:000000000000:api-destination/x":     "",
		"arn:aws:logs:us-east-1:000000000000:log-group:/aws/events:*": "logs",
		"arn:aws:scheduler:::aws-sdk:sqs:sendMessage":                 "",
		"not an arn": "",
	} {
		if got := delivery.Kind(arn); got != want {
			t.Errorf("%s: %q, want %q", arn, got, want)
		}
	}
}

// The pauses grow, are spread over half of their length, and 185 of them take about the 24 hours that AWS tries for.
func TestPause(t *testing.T) {
	least, most := func() float64 { return 0 }, func() float64 { return 0.999999 }
	var total time.Duration
	for n := 1; n <= 185; n++ {
		low, high := delivery.Pause(n, least), delivery.Pause(n, most)
		if low < 500*time.Millisecond || high > 8*time.Minute || high < low*19/10 {
			t.Errorf("pause %d is from %v to %v", n, low, high)
		}
		total += high
	}
	if delivery.Pause(1, least) != 500*time.Millisecond || delivery.Pause(4, least) != 4*time.Second {
		t.Error("the pauses do not double from a second on")
	}
	if total < 22*time.Hour || total > 25*time.Hour {
		t.Errorf("185 retries take %v", total)
	}
}
