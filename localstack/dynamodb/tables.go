package dynamodb

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

type createTableInput struct {
	schema
	DeletionProtectionEnabled bool
	SSESpecification          *struct {
		Enabled                 bool
		SSEType, KMSMasterKeyId string
	}

	// Known, without effect: nothing here reads streams, tags, classes of storage or throughput.
	StreamSpecification, Tags, TableClass, OnDemandThroughput, WarmThroughput json.RawMessage
}

// description is the table as DescribeTable tells it.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TableDescription.html
type description struct {
	TableName                 string
	TableArn                  string
	TableId                   string
	TableStatus               string
	CreationDateTime          stack.Time
	AttributeDefinitions      []attributeDefinition
	KeySchema                 []keyElement
	BillingModeSummary        *billing `json:",omitempty"`
	ProvisionedThroughput     throughputDescription
	GlobalSecondaryIndexes    []indexDescription `json:",omitempty"`
	LocalSecondaryIndexes     []indexDescription `json:",omitempty"`
	ItemCount                 int
	TableSizeBytes            int
	DeletionProtectionEnabled bool
	SSEDescription            *encryptionDescription `json:",omitempty"`
	StreamSpecification       *streamDescription     `json:",omitempty"`
	LatestStreamArn           string                 `json:",omitempty"`
	LatestStreamLabel         string                 `json:",omitempty"`
}

type (
	billing               struct{ BillingMode string }
	encryptionDescription struct {
		Status, SSEType string
		KMSMasterKeyArn string `json:",omitempty"`
	}
	streamDescription struct {
		StreamEnabled  bool
		StreamViewType string
	}
	throughputDescription struct {
		ReadCapacityUnits, WriteCapacityUnits json.Number
		NumberOfDecreasesToday                int
	}
	indexDescription struct {
		IndexName             string
		IndexArn              string
		IndexStatus           string `json:",omitempty"` // global indexes only
		KeySchema             []keyElement
		Projection            projection
		ProvisionedThroughput *throughputDescription `json:",omitempty"`
		ItemCount             int
		IndexSizeBytes        int
	}
)

type tableOutput struct{ TableDescription *description }

// createTable makes the table at once; its first answer still says CREATING, as in AWS, so that callers wait.
func (s *Service) createTable(in *createTableInput) (*tableOutput, error) {
	t, err := newTable(in.schema, s.now())
	if err != nil {
		return nil, err
	}
	if _, taken := s.tables[in.TableName]; taken {
		return nil, &stack.Error{Code: "ResourceInUseException", Message: "Table already exists: " + in.TableName}
	}
	t.protected = in.DeletionProtectionEnabled
	if in.SSESpecification != nil && in.SSESpecification.Enabled {
		t.encryption = &encryptionDescription{Status: "ENABLED", SSEType: "KMS", KMSMasterKeyArn: in.SSESpecification.KMSMasterKeyId}
	}
	s.tables[in.TableName] = t
	d := t.describe()
	d.TableStatus = "CREATING"
	return &tableOutput{d}, nil
}

type tableInput struct{ TableName string }

func (s *Service) deleteTable(in *tableInput) (*tableOutput, error) {
	t, err := s.named(in.TableName)
	if err != nil {
		return nil, err
	}
	if t.protected {
		return nil, invalid("Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.")
	}
	delete(s.tables, t.schema.TableName)
	d := t.describe()
	d.TableStatus = "DELETING"
	return &tableOutput{d}, nil
}

type describeTableOutput struct{ Table *description }

func (s *Service) describeTable(in *tableInput) (*describeTableOutput, error) {
	t, err := s.named(in.TableName)
	if err != nil {
		return nil, err
	}
	return &describeTableOutput{t.describe()}, nil
}

// named finds a table for an operation on tables, whose error names the table.
func (s *Service) named(name string) (*table, error) {
	t, err := s.table(name)
	if err != nil && name != "" {
		return nil, noTableNamed(name)
	}
	return t, err
}

type listTablesInput struct {
	ExclusiveStartTableName string
	Limit                   *int
}

type listTablesOutput struct {
	TableNames             []string
	LastEvaluatedTableName string `json:",omitempty"`
}

func (s *Service) listTables(in *listTablesInput) (*listTablesOutput, error) {
	limit := 100
	if in.Limit != nil {
		limit = *in.Limit
	}
	if limit < 1 || limit > 100 {
		return nil, unmet(limit, "limit", "Member must have value between 1 and 100")
	}
	out := &listTablesOutput{TableNames: []string{}}
	for _, name := range slices.Sorted(maps.Keys(s.tables)) {
		if name <= in.ExclusiveStartTableName {
			continue
		}
		if len(out.TableNames) == limit {
			out.LastEvaluatedTableName = out.TableNames[limit-1]
			break
		}
		out.TableNames = append(out.TableNames, name)
	}
	return out, nil
}

func (t *table) describe() *description {
	d := &description{
		TableName: t.schema.TableName, TableArn: t.arn(), TableId: t.id(), TableStatus: "ACTIVE",
		CreationDateTime:          stack.Time{Time: t.created},
		AttributeDefinitions:      t.schema.AttributeDefinitions,
		KeySchema:                 t.schema.KeySchema,
		ProvisionedThroughput:     described(t.schema.ProvisionedThroughput),
		ItemCount:                 len(t.main.entries),
		TableSizeBytes:            t.main.size(),
		DeletionProtectionEnabled: t.protected,
		SSEDescription:            t.encryption,
	}
	if t.schema.BillingMode == "PAY_PER_REQUEST" {
		d.BillingModeSummary = &billing{t.schema.BillingMode}
	}
	if t.streamView != "" {
		d.StreamSpecification = &streamDescription{true, t.streamView}
		d.LatestStreamArn, d.LatestStreamLabel = t.streamARN(), t.streamLabel()
	}
	for n, definition := range slices.Concat(t.schema.GlobalSecondaryIndexes, t.schema.LocalSecondaryIndexes) {
		x := t.secondary[n] // made in the same order
		i := indexDescription{
			IndexName: x.name, IndexArn: t.arn() + "/index/" + x.name,
			KeySchema: definition.KeySchema, Projection: x.projection,
			ItemCount: len(x.entries), IndexSizeBytes: x.size(),
		}
		if x.local {
			d.LocalSecondaryIndexes = append(d.LocalSecondaryIndexes, i)
			continue
		}
		units := described(definition.ProvisionedThroughput)
		i.IndexStatus, i.ProvisionedThroughput = "ACTIVE", &units
		d.GlobalSecondaryIndexes = append(d.GlobalSecondaryIndexes, i)
	}
	return d
}

func described(t *throughput) throughputDescription {
	if t == nil {
		return throughputDescription{ReadCapacityUnits: "0", WriteCapacityUnits: "0"}
	}
	return throughputDescription{ReadCapacityUnits: t.ReadCapacityUnits, WriteCapacityUnits: t.WriteCapacityUnits}
}

func (x *index) size() int {
	size := 0
	for _, e := range x.entries {
		size += x.projected(e.item).size()
	}
	return size
}

// id is a UUID that another table of the same name, made later, does not share.
func (t *table) id() string {
	h := sha256.Sum256([]byte(t.arn() + t.created.Format(time.RFC3339Nano)))
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}
