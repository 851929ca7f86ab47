package infra

import (
	"embed"
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsathena"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsglue"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

const (
	auditDatabase = "mayfly"
	auditTable    = "audit"
)

//go:embed queries/*.sql
var questions embed.FS

// Queries are the audit bucket as a table, and the auditor's questions ready to run.
type Queries struct{ constructs.Construct }

// NewQueries makes the Glue table, the Athena workgroup and the four named queries, which ask about one environment.
func NewQueries(scope constructs.Construct, id string, bucket awss3.Bucket, environment string) Queries {
	q := Queries{Construct: constructs.NewConstruct(scope, &id)}
	table := q.table(bucket)
	workgroup := q.workgroup()
	for _, name := range []string{"when-last-rotated", "why", "by-which-workflow", "did-it-succeed"} {
		text, err := questions.ReadFile("queries/" + name + ".sql")
		if err != nil {
			panic(err) // embedded: cannot be missing once it compiled
		}
		comment, _, _ := strings.Cut(string(text), "\n")
		query := awsathena.NewCfnNamedQuery(q.Construct, jsii.String(name), &awsathena.CfnNamedQueryProps{
			Name:        jsii.String("mayfly-" + name),
			Description: jsii.String(strings.TrimPrefix(comment, "-- ")),
			Database:    jsii.String(auditDatabase),
			WorkGroup:   workgroup.Name(),
			QueryString: jsii.String(strings.ReplaceAll(string(text), "{environment}", environment)),
		})
		query.AddDependency(workgroup)
		query.AddDependency(table)
	}
	return q
}

// workgroup keeps results in Athena itself, encrypted and for 24 hours. A bucket of ours would keep copies of the
// records beside the lock, and the audit bucket would lock every result.
// Source: https://docs.aws.amazon.com/athena/latest/ug/managed-results.html
func (q Queries) workgroup() awsathena.CfnWorkGroup {
	return awsathena.NewCfnWorkGroup(q.Construct, jsii.String("Workgroup"), &awsathena.CfnWorkGroupProps{
		Name:        jsii.String("mayfly"),
		Description: jsii.String("Questions to Mayfly's audit records"),
		WorkGroupConfiguration: &awsathena.CfnWorkGroup_WorkGroupConfigurationProperty{
			EnforceWorkGroupConfiguration: jsii.Bool(true),
			ManagedQueryResultsConfiguration: &awsathena.CfnWorkGroup_ManagedQueryResultsConfigurationProperty{
				Enabled: jsii.Bool(true),
			},
		},
	})
}

// table says where records lie without a crawler: partitions are computed from the query. The environment is injected,
// so that a query which forgets it fails loudly; a list of environments would silently leave out those gone from it.
// Source: https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html
func (q Queries) table(bucket awss3.Bucket) awsglue.CfnTable {
	account := awscdk.Stack_Of(q.Construct).Account()
	database := awsglue.NewCfnDatabase(q.Construct, jsii.String("Database"), &awsglue.CfnDatabaseProps{
		CatalogId: account,
		DatabaseInput: &awsglue.CfnDatabase_DatabaseInputProperty{
			Name: jsii.String(auditDatabase), Description: jsii.String("Mayfly's audit records"),
		},
	})
	location := fmt.Sprintf("s3://%s/%s", *bucket.BucketName(), auditPrefix)
	table := awsglue.NewCfnTable(q.Construct, jsii.String("Table"), &awsglue.CfnTableProps{
		CatalogId:    account,
		DatabaseName: jsii.String(auditDatabase),
		TableInput: &awsglue.CfnTable_TableInputProperty{
			Name:        jsii.String(auditTable),
			Description: jsii.String("One row per audit record; the raw object is evidence, this is its index"),
			TableType:   jsii.String("EXTERNAL_TABLE"),
			Parameters: map[string]string{
				"EXTERNAL":                      "TRUE",
				"classification":                "json",
				"projection.enabled":            "true",
				"projection.environment.type":   "injected",
				"projection.date.type":          "date",
				"projection.date.format":        "yyyy-MM-dd",
				"projection.date.range":         "2025-01-01,NOW+1DAYS",
				"projection.date.interval":      "1",
				"projection.date.interval.unit": "DAYS",
				"storage.location.template":     location + "environment=${environment}/date=${date}/",
			},
			PartitionKeys: columns("environment string", "date string"),
			StorageDescriptor: &awsglue.CfnTable_StorageDescriptorProperty{
				Columns:      columns(recordColumns...),
				Location:     &location,
				InputFormat:  jsii.String("org.apache.hadoop.mapred.TextInputFormat"),
				OutputFormat: jsii.String("org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"),
				SerdeInfo: &awsglue.CfnTable_SerdeInfoProperty{
					SerializationLibrary: jsii.String("org.openx.data.jsonserde.JsonSerDe"),
				},
			},
		},
	})
	table.AddDependency(database)
	return table
}

// recordColumns are the members of an audit record, but for environment: that one is a partition, and a table cannot
// have a column of the same name.
var recordColumns = []string{
	"schema string", "id string", "time string", "account string", "region string", "secret string", "owner string",
	"services string", "event string", "step string", "outcome string", "reason_code string", "reason string",
	"trigger_type string", "trigger_id string", "trigger_source string", "actor string", "run_id string",
	"execution_arn string", "attempt int", "version_from string", "version_to string", "contract_digest string",
	"contract_commit string", "policy_digest string", "compliance string", "seq bigint",
	"prev_hash string", "hash string",
}

// columns turns "name type" into Glue's columns.
func columns(definitions ...string) []any {
	var made []any
	for _, d := range definitions {
		name, kind, _ := strings.Cut(d, " ")
		made = append(made, &awsglue.CfnTable_ColumnProperty{Name: &name, Type: &kind})
	}
	return made
}
