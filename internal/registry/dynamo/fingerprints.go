package dynamo

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mayfly-secrets/mayfly/internal/registry"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// Fingerprints are items of their own beside a contract, one per version: key (secret, fingerprint#<version>). Applying a
// contract rewrites its lookup keys and leaves them alone; withdrawing it takes them along.
const fingerprintItem = "fingerprint#"

// keepEnded is how long the fingerprint of a version stays after the version was seen refused: an incident is answered, and
// its event sent again, long after the first run that it caused has closed.
const keepEnded = 7 * 24 * time.Hour

// SetFingerprint notes which value a version has that somebody could use. Repeating it changes nothing, nor does it bring
// back a version that was seen refused. Errors: RegistryUnavailable.
func (r *Registry) SetFingerprint(ctx context.Context, secret, version, print string) error {
	set := r.fingerprint(secret, version, print)
	_, err := r.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: set.TableName, Key: set.Key, UpdateExpression: set.UpdateExpression, ExpressionAttributeValues: set.ExpressionAttributeValues,
		ConditionExpression: aws.String("attribute_not_exists(ended)"),
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return nil
	}
	return unavailable(err, "note the fingerprint of version %s of %s", version, secret)
}

// Fingerprints lists those of a secret's versions, also of versions that ended, for a week and until DynamoDB deletes them.
// Errors: RegistryUnavailable.
func (r *Registry) Fingerprints(ctx context.Context, secret string) ([]registry.Fingerprint, error) {
	var found []registry.Fingerprint
	pages := dynamodb.NewQueryPaginator(r.DB, &dynamodb.QueryInput{
		TableName: &r.Contracts, KeyConditionExpression: aws.String("secret = :secret AND begins_with(#item, :prefix)"), ConsistentRead: aws.Bool(true),
		ExpressionAttributeNames:  map[string]string{"#item": "item"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":secret": text(secret), ":prefix": text(fingerprintItem)},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, unavailable(err, "read the fingerprints of %s", secret)
		}
		for _, item := range page.Items {
			f := registry.Fingerprint{Secret: secret, Version: version(item), Print: str(item["fingerprint"])}
			if item["ended"] != nil {
				f.Ended = time.Unix(num(item["ended"]), 0).UTC()
			}
			if f.Print != "" { // a version may end of which nobody knows the value
				found = append(found, f)
			}
		}
	}
	return found, nil
}

// Holders lists the versions, of any secret, that somebody could use and that have this value. The index is eventually
// consistent: a version noted within the last second may be missing. Errors: RegistryUnavailable.
func (r *Registry) Holders(ctx context.Context, print string) ([]registry.Fingerprint, error) {
	var found []registry.Fingerprint
	pages := dynamodb.NewQueryPaginator(r.DB, &dynamodb.QueryInput{
		TableName: &r.Contracts, IndexName: aws.String(lookupIndex), KeyConditionExpression: aws.String("lookup = :key"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":key": text(trigger.KeyFingerprint + print)},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, unavailable(err, "look up who holds a value")
		}
		for _, item := range page.Items {
			found = append(found, registry.Fingerprint{Secret: str(item["secret"]), Version: version(item), Print: print})
		}
	}
	return found, nil
}

// Sharing lists the fingerprints of secrets, of versions that somebody could use, and of all others who hold the same values.
// It reads nothing else. Errors: RegistryUnavailable.
func (r *Registry) Sharing(ctx context.Context, secrets []string) ([]registry.Fingerprint, error) {
	known, err := registry.Each(ctx, secrets, r.Fingerprints)
	if err != nil {
		return nil, err
	}
	values := map[string]bool{}
	for _, f := range slices.Concat(known...) {
		if f.Ended.IsZero() {
			values[f.Print] = true
		}
	}
	holders, err := registry.Each(ctx, slices.Sorted(maps.Keys(values)), r.Holders)
	return slices.Concat(holders...), err
}

func version(item map[string]types.AttributeValue) string {
	return strings.TrimPrefix(str(item["item"]), fingerprintItem)
}

// fingerprint is the write that notes one.
func (r *Registry) fingerprint(secret, version, print string) *types.Update {
	return &types.Update{
		TableName: &r.Contracts, Key: key(secret, fingerprintItem+version),
		UpdateExpression: aws.String("SET fingerprint = :print, lookup = :key"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":print": text(print), ":key": text(trigger.KeyFingerprint + print),
		},
	}
}

// end is the write that takes a version out of the index: who finds its value in the open finds nothing that it opens. The
// item itself goes a week later, by DynamoDB's TTL.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html
func (r *Registry) end(secret, version string, at time.Time) *types.Update {
	return &types.Update{
		TableName: &r.Contracts, Key: key(secret, fingerprintItem+version),
		UpdateExpression: aws.String("SET ended = :at, expires = :expires REMOVE lookup"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":at": number(at.Unix()), ":expires": number(at.Add(keepEnded).Unix()),
		},
	}
}
