package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/mayfly-secrets/mayfly/internal/env"
)

// Registry is the index over the authority: contracts in force with their leases, and the history of runs. It can be
// deleted and rebuilt from Secrets Manager and the contracts.
type Registry struct {
	constructs.Construct
	Contracts awsdynamodb.Table // PK secret, SK item; indexes due and lookup
	Runs      awsdynamodb.Table // PK secret, SK run; index execution
}

// NewRegistry makes the two tables. The indexes are the access patterns: what is due, which secrets a name in an event
// means, which run an execution was.
func NewRegistry(scope constructs.Construct, id string, key awskms.IKey, deletionProtection bool) Registry {
	r := Registry{Construct: constructs.NewConstruct(scope, &id)}
	table := func(id, name, sort string, ttl *string) awsdynamodb.Table {
		return awsdynamodb.NewTable(r.Construct, &id, &awsdynamodb.TableProps{
			TableName:           &name,
			PartitionKey:        attribute("secret", awsdynamodb.AttributeType_STRING),
			SortKey:             attribute(sort, awsdynamodb.AttributeType_STRING),
			BillingMode:         awsdynamodb.BillingMode_PAY_PER_REQUEST,
			Encryption:          awsdynamodb.TableEncryption_CUSTOMER_MANAGED,
			EncryptionKey:       key,
			DeletionProtection:  &deletionProtection,
			TimeToLiveAttribute: ttl,
			RemovalPolicy:       awscdk.RemovalPolicy_RETAIN,
			PointInTimeRecoverySpecification: &awsdynamodb.PointInTimeRecoverySpecification{
				PointInTimeRecoveryEnabled: jsii.Bool(true),
			},
		})
	}
	r.Contracts = table("Contracts", "mayfly-contracts", "item", jsii.String("expires")) // fingerprints of versions that ended
	r.Contracts.AddGlobalSecondaryIndex(&awsdynamodb.GlobalSecondaryIndexProps{
		IndexName:      jsii.String("due"),
		PartitionKey:   attribute("due_pool", awsdynamodb.AttributeType_STRING),
		SortKey:        attribute("due_at", awsdynamodb.AttributeType_NUMBER),
		ProjectionType: awsdynamodb.ProjectionType_KEYS_ONLY,
	})
	r.Contracts.AddGlobalSecondaryIndex(&awsdynamodb.GlobalSecondaryIndexProps{
		IndexName:      jsii.String("lookup"),
		PartitionKey:   attribute("lookup", awsdynamodb.AttributeType_STRING),
		SortKey:        attribute("secret", awsdynamodb.AttributeType_STRING),
		ProjectionType: awsdynamodb.ProjectionType_KEYS_ONLY,
	})
	r.Runs = table("Runs", "mayfly-runs", "run", nil)
	r.Runs.AddGlobalSecondaryIndex(&awsdynamodb.GlobalSecondaryIndexProps{
		IndexName:      jsii.String("execution"),
		PartitionKey:   attribute("execution", awsdynamodb.AttributeType_STRING),
		ProjectionType: awsdynamodb.ProjectionType_ALL,
	})
	return r
}

func attribute(name string, kind awsdynamodb.AttributeType) *awsdynamodb.Attribute {
	return &awsdynamodb.Attribute{Name: &name, Type: kind}
}

// GrantFind lets a function find secrets by key and by what is due, and read their contracts.
func (r Registry) GrantFind(f *Function) {
	f.Set(env.ContractsTable, r.Contracts.TableName())
	f.Allow("FindContracts", []string{"dynamodb:Query"}, index(r.Contracts, "due"), index(r.Contracts, "lookup"))
	f.Allow("ReadContracts", []string{"dynamodb:BatchGetItem"}, r.Contracts.TableArn())
}

// GrantTrace lets a function find who holds a value, by fingerprints.
func (r Registry) GrantTrace(f *Function) {
	f.Set(env.ContractsTable, r.Contracts.TableName())
	f.Allow("TraceLineage", []string{"dynamodb:Query"}, r.Contracts.TableArn(), index(r.Contracts, "lookup"))
}

// GrantLease lets a function take, renew or give up the lease on a secret.
func (r Registry) GrantLease(f *Function) {
	f.Set(env.ContractsTable, r.Contracts.TableName())
	f.Allow("LeaseSecret", []string{"dynamodb:UpdateItem"}, r.Contracts.TableArn())
}

// GrantAskOwner lets a function ask which run has the lease.
func (r Registry) GrantAskOwner(f *Function) {
	f.Set(env.ContractsTable, r.Contracts.TableName())
	f.Allow("AskOwner", []string{"dynamodb:GetItem"}, r.Contracts.TableArn())
}

// GrantList lets a function list what is under contract.
func (r Registry) GrantList(f *Function) {
	f.Set(env.ContractsTable, r.Contracts.TableName())
	f.Allow("ListContracts", []string{"dynamodb:Query"}, index(r.Contracts, "due"))
}

// GrantInspect lets functions read how secrets stand, and remember what they found.
func (r Registry) GrantInspect(functions ...*Function) {
	for _, f := range functions {
		f.Set(env.ContractsTable, r.Contracts.TableName())
		f.Allow("InspectContracts", []string{"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:UpdateItem"}, r.Contracts.TableArn())
	}
}

// GrantRecordRun lets a function write the history of runs.
func (r Registry) GrantRecordRun(f *Function) {
	f.Set(env.RunsTable, r.Runs.TableName())
	f.Allow("RecordRun", []string{"dynamodb:UpdateItem"}, r.Runs.TableArn())
}

// GrantApply lets a function bring contracts into force and withdraw them.
func (r Registry) GrantApply(f *Function) {
	f.Set(env.ContractsTable, r.Contracts.TableName())
	f.Allow("ApplyContracts", []string{"dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"},
		r.Contracts.TableArn())
	f.Allow("ListContracts", []string{"dynamodb:Query"}, index(r.Contracts, "due"))
}

func index(table awsdynamodb.Table, name string) *string {
	return jsii.String(*table.TableArn() + "/index/" + name)
}
