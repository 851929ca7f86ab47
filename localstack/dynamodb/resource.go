package dynamodb

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Resources maps the CloudFormation types of DynamoDB.
func (s *Service) Resources() map[string]stack.Make {
	return map[string]stack.Make{
		"AWS::DynamoDB::Table":       s.makeTable,
		"AWS::DynamoDB::GlobalTable": s.makeGlobalTable,
	}
}

// flag is a boolean that templates also write as a string.
type flag bool

func (f *flag) UnmarshalJSON(raw []byte) error {
	text := string(raw)
	if unquoted, err := strconv.Unquote(text); err == nil {
		text = unquoted
	}
	b, err := strconv.ParseBool(text)
	*f = flag(b)
	return err
}

type (
	recoveryProperty struct {
		PointInTimeRecoveryEnabled flag
		RecoveryPeriodInDays       json.Number
	}
	encryptionProperty struct {
		SSEEnabled              flag
		SSEType, KMSMasterKeyId string
	}
	ttlProperty struct {
		AttributeName string
		Enabled       flag
	}
	streamProperty struct {
		StreamViewType string
	}
)

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html
type tableProperties struct {
	schema
	PointInTimeRecoverySpecification recoveryProperty
	SSESpecification                 encryptionProperty
	TimeToLiveSpecification          ttlProperty
	StreamSpecification              *streamProperty
	DeletionProtectionEnabled        flag

	// Known, without effect: nothing here reads tags, classes of storage, throughput or contributors.
	Tags, TableClass, OnDemandThroughput, WarmThroughput, ContributorInsightsSpecification json.RawMessage
}

func (s *Service) makeTable(_ context.Context, r stack.Resource) (stack.Made, error) {
	var p tableProperties
	if err := decode(r.Properties, &p); err != nil {
		return stack.Made{}, fmt.Errorf("%s (%s): %w", r.LogicalID, r.Type, err)
	}
	return s.make(r, p)
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-globaltable.html
type globalTableProperties struct {
	schema
	Replicas                []replicaProperties
	SSESpecification        encryptionProperty
	TimeToLiveSpecification ttlProperty
	StreamSpecification     *streamProperty

	// Known, without effect: throughput is not limited and there is one Region.
	WriteProvisionedThroughputSettings, ReadProvisionedThroughputSettings,
	WriteOnDemandThroughputSettings, ReadOnDemandThroughputSettings,
	WarmThroughput, MultiRegionConsistency json.RawMessage
}

type replicaProperties struct {
	Region                           string
	PointInTimeRecoverySpecification recoveryProperty
	DeletionProtectionEnabled        flag
	SSESpecification                 json.RawMessage // the key; the table's SSESpecification says whether

	// Known, without effect, as for a table; indexes differ between replicas in throughput and contributors only.
	Tags, TableClass, ContributorInsightsSpecification, GlobalSecondaryIndexes,
	ReadProvisionedThroughputSettings, ReadOnDemandThroughputSettings json.RawMessage
}

func (s *Service) makeGlobalTable(_ context.Context, r stack.Resource) (stack.Made, error) {
	var g globalTableProperties
	if err := decode(r.Properties, &g); err != nil {
		return stack.Made{}, fmt.Errorf("%s (%s): %w", r.LogicalID, r.Type, err)
	}
	if len(g.Replicas) != 1 || g.Replicas[0].Region != stack.Region {
		return stack.Made{}, fmt.Errorf("%s (%s): the local stack is one Region, %s: Replicas must name it and no other", r.LogicalID, r.Type, stack.Region)
	}
	if g.BillingMode == "PROVISIONED" {
		// Throughput is given by auto-scaling settings, which have no effect.
		g.ProvisionedThroughput = &throughput{ReadCapacityUnits: "0", WriteCapacityUnits: "0"}
	}
	return s.make(r, tableProperties{
		schema:                           g.schema,
		PointInTimeRecoverySpecification: g.Replicas[0].PointInTimeRecoverySpecification,
		SSESpecification:                 g.SSESpecification,
		TimeToLiveSpecification:          g.TimeToLiveSpecification,
		StreamSpecification:              g.StreamSpecification,
		DeletionProtectionEnabled:        g.Replicas[0].DeletionProtectionEnabled,
	})
}

// make puts the table there, or changes in place the one that it made before. Without a name the table takes the
// logical id, where AWS would make one up.
func (s *Service) make(r stack.Resource, p tableProperties) (stack.Made, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.TableName == "" {
		p.TableName = r.LogicalID
	}
	t, err := newTable(p.schema, s.now())
	if err != nil {
		return stack.Made{}, fmt.Errorf("%s (%s): %w", r.LogicalID, r.Type, err)
	}
	t.resource = r.LogicalID
	if before, ok := s.tables[p.TableName]; ok {
		if err := t.inherit(before); err != nil {
			return stack.Made{}, fmt.Errorf("%s (%s): %w", r.LogicalID, r.Type, err)
		}
	}
	t.protected = bool(p.DeletionProtectionEnabled)
	switch enabled := p.PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled; {
	case !bool(enabled):
		t.recovery = time.Time{}
	case t.recovery.IsZero():
		t.recovery = s.now()
	}
	if p.TimeToLiveSpecification.Enabled {
		t.ttl = p.TimeToLiveSpecification.AttributeName
	}
	if p.SSESpecification.SSEEnabled {
		t.encryption = &encryptionDescription{Status: "ENABLED", SSEType: "KMS", KMSMasterKeyArn: p.SSESpecification.KMSMasterKeyId}
	}
	made := stack.Made{Ref: p.TableName, Att: map[string]string{"Arn": t.arn(), "TableId": t.id()}}
	if p.StreamSpecification != nil {
		t.streamView = p.StreamSpecification.StreamViewType
		made.Att["StreamArn"] = t.streamARN()
	}
	s.tables[p.TableName] = t
	return made, nil
}

// inherit takes over the items of the table that the same resource was before. What AWS would replace the table for,
// its key, cannot change under the same name; indexes and settings can.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html
func (t *table) inherit(before *table) error {
	if before.resource != t.resource {
		return fmt.Errorf("table %s already exists", t.schema.TableName)
	}
	if !slices.Equal(before.key(), t.key()) {
		return fmt.Errorf("the key of table %s cannot change in place: give the table another name", t.schema.TableName)
	}
	t.created, t.recovery = before.created, before.recovery
	for _, e := range before.main.entries {
		t.replace(nil, e.item)
	}
	return nil
}
