package dynamodb

import (
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTimeToLive.html
type updateTimeToLiveInput struct {
	TableName               string
	TimeToLiveSpecification *timeToLive
}

type timeToLive struct {
	AttributeName string
	Enabled       bool
}

type updateTimeToLiveOutput struct{ TimeToLiveSpecification timeToLive }

func (s *Service) updateTimeToLive(in *updateTimeToLiveInput) (*updateTimeToLiveOutput, error) {
	t, err := s.named(in.TableName)
	if err != nil {
		return nil, err
	}
	spec := in.TimeToLiveSpecification
	switch {
	case spec == nil:
		return nil, required("TimeToLiveSpecification")
	case spec.AttributeName == "":
		return nil, unmet("", "timeToLiveSpecification.attributeName", "Member must have length greater than or equal to 1")
	case spec.Enabled && t.ttl != "":
		return nil, invalid("TimeToLive is already enabled")
	case !spec.Enabled && t.ttl == "":
		return nil, invalid("TimeToLive is already disabled")
	case !spec.Enabled && t.ttl != spec.AttributeName:
		return nil, invalid("TimeToLive is active on a different AttributeName: current AttributeName is %s", t.ttl)
	case spec.Enabled:
		t.ttl = spec.AttributeName
	default:
		t.ttl = ""
	}
	return &updateTimeToLiveOutput{*spec}, nil
}

type describeTimeToLiveOutput struct {
	TimeToLiveDescription struct {
		TimeToLiveStatus string
		AttributeName    string `json:",omitempty"`
	}
}

func (s *Service) describeTimeToLive(in *tableInput) (*describeTimeToLiveOutput, error) {
	t, err := s.named(in.TableName)
	if err != nil {
		return nil, err
	}
	out := &describeTimeToLiveOutput{}
	out.TimeToLiveDescription.TimeToLiveStatus = "DISABLED"
	if t.ttl != "" {
		out.TimeToLiveDescription.TimeToLiveStatus = "ENABLED"
		out.TimeToLiveDescription.AttributeName = t.ttl
	}
	return out, nil
}

// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DescribeContinuousBackups.html
type continuousBackups struct {
	ContinuousBackupsStatus        string
	PointInTimeRecoveryDescription pointInTimeRecovery
}

type pointInTimeRecovery struct {
	PointInTimeRecoveryStatus  string
	RecoveryPeriodInDays       int         `json:",omitempty"`
	EarliestRestorableDateTime *stack.Time `json:",omitempty"`
	LatestRestorableDateTime   *stack.Time `json:",omitempty"`
}

type describeContinuousBackupsOutput struct {
	ContinuousBackupsDescription continuousBackups
}

// recoveryDays is how far back a table can be restored, and recoveryLag how fresh it then is.
const (
	recoveryDays = 35
	recoveryLag  = 5 * time.Minute
)

// describeContinuousBackups tells what the template asked for; nothing is backed up here.
func (s *Service) describeContinuousBackups(in *tableInput) (*describeContinuousBackupsOutput, error) {
	t, err := s.table(in.TableName)
	if err != nil && in.TableName != "" {
		return nil, &stack.Error{Code: "TableNotFoundException", Message: "Table not found: " + in.TableName}
	}
	if err != nil {
		return nil, err
	}
	d := pointInTimeRecovery{PointInTimeRecoveryStatus: "DISABLED"}
	if !t.recovery.IsZero() {
		now := s.now()
		earliest := t.recovery
		if oldest := now.AddDate(0, 0, -recoveryDays); oldest.After(earliest) {
			earliest = oldest
		}
		d = pointInTimeRecovery{"ENABLED", recoveryDays, &stack.Time{Time: earliest}, &stack.Time{Time: now.Add(-recoveryLag)}}
	}
	return &describeContinuousBackupsOutput{continuousBackups{"ENABLED", d}}, nil
}
