package dynamo

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mayfly-secrets/mayfly/internal/fault"
	"github.com/mayfly-secrets/mayfly/internal/registry"
)

// foundPrefix begins the attributes of the contract's item in which each step of an inspection remembers its findings.
const foundPrefix = "found_"

// Note remembers the findings of one step that stand, in the place of those that it remembered before. No two steps share an
// attribute, so they do not overwrite each other. Repeating it changes nothing. Errors: RegistryUnavailable.
func (r *Registry) Note(ctx context.Context, secret, step string, found registry.Found) error {
	in := &dynamodb.UpdateItemInput{
		TableName: &r.Contracts, Key: key(secret, contractItem), UpdateExpression: aws.String("REMOVE #found"),
		ConditionExpression: aws.String("attribute_exists(contract)"), ExpressionAttributeNames: map[string]string{"#found": foundPrefix + step},
	}
	if len(found) > 0 {
		body, err := json.Marshal(found)
		if err != nil {
			return fault.Wrap(err, fault.Internal, "write the findings of %s", secret)
		}
		in.UpdateExpression = aws.String("SET #found = :found")
		in.ExpressionAttributeValues = map[string]types.AttributeValue{":found": text(string(body))}
	}
	_, err := r.DB.UpdateItem(ctx, in)
	return unavailable(err, "remember the findings of %s", secret)
}

// foundIn reads what steps remember. What does not parse is forgotten: then a finding is recorded once more.
func foundIn(item map[string]types.AttributeValue) map[string]registry.Found {
	var all map[string]registry.Found
	for name, value := range item {
		step, ok := strings.CutPrefix(name, foundPrefix)
		var found registry.Found
		if !ok || json.Unmarshal([]byte(str(value)), &found) != nil {
			continue
		}
		if all == nil {
			all = map[string]registry.Found{}
		}
		all[step] = found
	}
	return all
}
