package dynamo

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// Apply puts a contract in force, or a changed one in the place of the old. What the registry knows beside it (lease, fence,
// chain head, due date) stays. A secret that is new is due at dueAt, and its fence begins at the time in milliseconds: it
// grows by one with each run, so that one which begins again in a rebuilt registry is ahead of whatever a target has seen.
// readers are the ARNs of the roles of the contract's services, elsewhere those that the same services have in other environments. Repeating it changes nothing.
func (r *Registry) Apply(ctx context.Context, c contract.Contract, readers, elsewhere []string, digest, commit string, keys []string, dueAt, now time.Time) error {
	compiled, err := json.Marshal(c)
	if err != nil {
		return fault.Wrap(err, fault.Internal, "write the contract of %s", c.ID())
	}
	write := []types.TransactWriteItem{{Update: &types.Update{
		TableName: &r.Contracts, Key: key(c.ID(), contractItem),
		UpdateExpression: aws.String("SET contract = :contract, readers = :readers, elsewhere = :elsewhere, digest = :digest, #commit = :commit, #owner = :owner, " +
			"environment = :environment, due_pool = :inforce, due_at = if_not_exists(due_at, :due), fence = if_not_exists(fence, :fence)"),
		ExpressionAttributeNames: map[string]string{"#commit": "commit", "#owner": "owner"},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":contract": text(string(compiled)), ":readers": texts(readers), ":elsewhere": texts(elsewhere), ":digest": text(digest), ":commit": text(commit), ":owner": text(c.Owner),
			":environment": text(c.Environment), ":inforce": text(duePool), ":due": number(dueAt.Unix()), ":fence": number(now.UnixMilli()),
		},
	}}}
	stale, err := r.keysOf(ctx, c.ID())
	if err != nil {
		return err
	}
	for _, k := range keys {
		if stale[k] {
			delete(stale, k)
			continue
		}
		item := key(c.ID(), keyItem+k)
		item["lookup"] = text(k)
		write = append(write, types.TransactWriteItem{Put: &types.Put{TableName: &r.Contracts, Item: item}})
	}
	return r.write(ctx, "put the contract of "+c.ID()+" in force", append(write, r.deletions(c.ID(), stale)...))
}

// Withdraw takes a contract out of force: it is due no more and no event finds it. The item stays, for its fence must not
// start again, and the secret itself is never touched.
func (r *Registry) Withdraw(ctx context.Context, secret string) error {
	stale, err := r.keysOf(ctx, secret)
	if err != nil {
		return err
	}
	prints, err := r.Fingerprints(ctx, secret)
	if err != nil {
		return err
	}
	update := types.TransactWriteItem{Update: &types.Update{
		TableName: &r.Contracts, Key: key(secret, contractItem), UpdateExpression: aws.String("REMOVE due_pool"),
	}}
	write := append([]types.TransactWriteItem{update}, r.deletions(secret, stale)...)
	for _, f := range prints {
		write = append(write, types.TransactWriteItem{Delete: &types.Delete{TableName: &r.Contracts, Key: key(secret, fingerprintItem+f.Version)}})
	}
	return r.write(ctx, "withdraw the contract of "+secret, write)
}

// InForce lists the secrets under contract. It reads the whole index of due dates, so it is for apply, not for hot paths.
func (r *Registry) InForce(ctx context.Context) ([]string, error) {
	return r.secrets(ctx, "list the contracts in force", &dynamodb.QueryInput{
		IndexName: aws.String(dueIndex), KeyConditionExpression: aws.String("due_pool = :pool"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":pool": text(duePool)},
	})
}

// Due lists the secrets whose due date has come, the longest overdue first; it reads only those.
func (r *Registry) Due(ctx context.Context, now time.Time) ([]string, error) {
	return r.secrets(ctx, "list what is due", &dynamodb.QueryInput{
		IndexName: aws.String(dueIndex), KeyConditionExpression: aws.String("due_pool = :pool AND due_at <= :now"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":pool": text(duePool), ":now": number(now.Unix())},
	})
}

// Lookup lists the secrets that one of the keys finds; it reads only those. The index is eventually consistent: a contract
// put in force within the last second may be missing.
func (r *Registry) Lookup(ctx context.Context, keys []string) ([]string, error) {
	var found []string
	seen := map[string]bool{}
	for _, k := range keys {
		secrets, err := r.secrets(ctx, "look up "+k, &dynamodb.QueryInput{
			IndexName: aws.String(lookupIndex), KeyConditionExpression: aws.String("lookup = :key"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":key": text(k)},
		})
		if err != nil {
			return nil, err
		}
		for _, s := range secrets {
			if !seen[s] {
				seen[s], found = true, append(found, s)
			}
		}
	}
	return found, nil
}

// mostSecrets bounds what is read of an index: Secrets Manager's own quota per account and Region.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
const mostSecrets = 500_000

func (r *Registry) secrets(ctx context.Context, what string, query *dynamodb.QueryInput) ([]string, error) {
	query.TableName = &r.Contracts
	var secrets []string
	pages := dynamodb.NewQueryPaginator(r.DB, query)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, unavailable(err, "%s", what)
		}
		for _, item := range page.Items {
			secrets = append(secrets, str(item["secret"]))
		}
		if len(secrets) > mostSecrets {
			return nil, fault.New(fault.Internal, "%s: more than %d, which is more than an account can hold; the registry is to be rebuilt", what, mostSecrets)
		}
	}
	return secrets, nil
}

func (r *Registry) keysOf(ctx context.Context, secret string) (map[string]bool, error) {
	keys := map[string]bool{}
	pages := dynamodb.NewQueryPaginator(r.DB, &dynamodb.QueryInput{
		TableName: &r.Contracts, KeyConditionExpression: aws.String("secret = :secret AND begins_with(#item, :prefix)"), ConsistentRead: aws.Bool(true),
		ExpressionAttributeNames:  map[string]string{"#item": "item"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":secret": text(secret), ":prefix": text(keyItem)},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, unavailable(err, "read the lookup keys of %s", secret)
		}
		for _, item := range page.Items {
			keys[strings.TrimPrefix(str(item["item"]), keyItem)] = true
		}
	}
	return keys, nil
}

func (r *Registry) deletions(secret string, keys map[string]bool) []types.TransactWriteItem {
	var write []types.TransactWriteItem
	for k := range keys {
		write = append(write, types.TransactWriteItem{Delete: &types.Delete{TableName: &r.Contracts, Key: key(secret, keyItem+k)}})
	}
	return write
}

// write sends items in transactions of at most 100, DynamoDB's limit. The contract's own item goes in the first.
func (r *Registry) write(ctx context.Context, what string, items []types.TransactWriteItem) error {
	for len(items) > 0 {
		n := min(len(items), 100)
		if _, err := r.DB.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items[:n]}); err != nil {
			return unavailable(err, "%s", what)
		}
		items = items[n:]
	}
	return nil
}
