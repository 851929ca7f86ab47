package webhook

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// Delivery is one signed request, by everything that would make another one a replay of it.
type Delivery struct {
	IDs    []string // hashes, one or two: see deliveryID
	Source string   // the route
	At     time.Time
}

// Deliveries is the Memory in the runs table: one item per id, with key ("delivery#<id>", "delivery"). No secret is called
// that way, and the receiver may touch no other items (infra: dynamodb:LeadingKeys).
type Deliveries struct {
	DB    DynamoDB
	Table string
}

// DynamoDB is what Deliveries needs of the service. A transaction is durable, or without effect, once it returns.
type DynamoDB interface {
	GetItem(ctx context.Context, in *dynamodb.GetItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, opts ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
}

// KeyPrefix begins the partition key of every delivery in the runs table.
const KeyPrefix = "delivery#"

// remembered is how long a delivery is known: as long as Step Functions keeps the name of an execution from being used
// again, so that a replay that is older starts nothing but a rotation nobody needed.
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
const remembered = 90 * 24 * time.Hour

// Seen implements Memory.
func (d *Deliveries) Seen(ctx context.Context, ids []string) (bool, error) {
	for _, id := range ids {
		out, err := d.DB.GetItem(ctx, &dynamodb.GetItemInput{
			TableName: &d.Table, Key: deliveryKey(id), ConsistentRead: aws.Bool(true), ProjectionExpression: aws.String("secret"),
		})
		if err != nil {
			return false, fault.Wrap(err, fault.RegistryUnavailable, "look whether a delivery is known")
		}
		if out.Item != nil {
			return true, nil
		}
	}
	return false, nil
}

// Remember implements Memory. DynamoDB deletes an item some time after the moment in "expires":
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html
func (d *Deliveries) Remember(ctx context.Context, delivery Delivery) (first bool, err error) {
	in := &dynamodb.TransactWriteItemsInput{}
	for _, id := range delivery.IDs {
		item := deliveryKey(id)
		item["source"] = &types.AttributeValueMemberS{Value: delivery.Source}
		item["received"] = &types.AttributeValueMemberS{Value: delivery.At.UTC().Format(time.RFC3339)}
		item["expires"] = &types.AttributeValueMemberN{Value: strconv.FormatInt(delivery.At.Add(remembered).Unix(), 10)}
		in.TransactItems = append(in.TransactItems, types.TransactWriteItem{Put: &types.Put{
			TableName: &d.Table, Item: item, ConditionExpression: aws.String("attribute_not_exists(secret)"),
		}})
	}
	// A twin that is being remembered at the same moment is a conflict, which only the next attempt can tell from a replay.
	for range attempts {
		_, err = d.DB.TransactWriteItems(ctx, in)
		if cancelledFor(err, "ConditionalCheckFailed") {
			return false, nil
		}
		if !cancelledFor(err, "TransactionConflict") {
			break
		}
	}
	return err == nil, fault.Wrap(err, fault.RegistryUnavailable, "remember a delivery")
}

const attempts = 5

// cancelledFor says whether a transaction was cancelled for a reason.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
func cancelledFor(err error, reason string) bool {
	var cancelled *types.TransactionCanceledException
	return errors.As(err, &cancelled) && slices.ContainsFunc(cancelled.CancellationReasons, func(r types.CancellationReason) bool {
		return aws.ToString(r.Code) == reason
	})
}

func deliveryKey(id string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		"secret": &types.AttributeValueMemberS{Value: KeyPrefix + id}, "run": &types.AttributeValueMemberS{Value: "delivery"},
	}
}
