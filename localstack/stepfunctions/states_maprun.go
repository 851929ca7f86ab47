package stepfunctions

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// mapRun is what a distributed Map makes of its items: one child execution each.
// https://docs.aws.amazon.com/step-functions/latest/dg/concepts-examine-map-run.html
type mapRun struct {
	arn, id   string
	execution string // ARN of the parent
	most      int    // MaxConcurrency; 0 for no limit
	count     float64
	share     float64
	started   time.Time

	mu      sync.Mutex
	status  string
	stopped time.Time
	items   itemCounts
}

// itemCounts are the numbers of a Map Run. Executions and items are the same here: there is no ItemBatcher.
type itemCounts struct {
	Pending               int `json:"pending"`
	Running               int `json:"running"`
	Succeeded             int `json:"succeeded"`
	Failed                int `json:"failed"`
	TimedOut              int `json:"timedOut"`
	Aborted               int `json:"aborted"`
	Total                 int `json:"total"`
	ResultsWritten        int `json:"resultsWritten"`
	FailuresNotRedrivable int `json:"failuresNotRedrivable"`
	PendingRedrive        int `json:"pendingRedrive"`
}

// openMapRun makes a Map Run that has read nothing yet.
func (s *Service) openMapRun(x *execution, label string, most int, count, share float64) *mapRun {
	id := s.newID()
	r := &mapRun{
		id: id, arn: resourceARN("mapRun", x.machine.name+"/"+label+":"+id), execution: x.arn,
		most: most, count: count, share: share, started: s.clock.Now(), status: "RUNNING",
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mapRuns[r.arn] = r
	return r
}

// began counts a child that starts.
func (r *mapRun) began() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.items.Pending--
	r.items.Running++
}

// ended counts a child that has ended and says whether more items failed than either threshold allows.
// https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html#maprun-fail-threshold
func (r *mapRun) ended(status string) (exceeded bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.items.Running--
	switch status {
	case "SUCCEEDED":
		r.items.Succeeded++
		return false
	case "FAILED":
		r.items.Failed++
	case "TIMED_OUT":
		r.items.TimedOut++
	default: // ended from outside: no fault of the item's
		r.items.Aborted++
		return false
	}
	return exceeds(r.items.Failed+r.items.TimedOut, r.items.Total, r.count, r.share)
}

// exceeds says whether more items failed than either threshold allows; without any, none may fail.
func exceeds(failed, items int, count, share float64) bool {
	if count == 0 && share == 0 {
		return failed > 0
	}
	return (count > 0 && float64(failed) > count) || (share > 0 && float64(failed)*100 > share*float64(items))
}

func (r *mapRun) close(status string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status, r.stopped = status, at
}

type describeMapRunInput struct{ MapRunArn string }

// mapRunDescription is on https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeMapRun.html
type mapRunDescription struct {
	MapRunArn                  string      `json:"mapRunArn"`
	ExecutionArn               string      `json:"executionArn"`
	Status                     string      `json:"status"`
	StartDate                  stack.Time  `json:"startDate"`
	StopDate                   *stack.Time `json:"stopDate,omitempty"`
	MaxConcurrency             int         `json:"maxConcurrency"`
	ToleratedFailureCount      int         `json:"toleratedFailureCount"`
	ToleratedFailurePercentage float64     `json:"toleratedFailurePercentage"`
	ItemCounts                 itemCounts  `json:"itemCounts"`
	ExecutionCounts            itemCounts  `json:"executionCounts"`
	RedriveCount               int         `json:"redriveCount"`
}

func (s *Service) describeMapRun(_ context.Context, _ *stack.Call, in *describeMapRunInput) (*mapRunDescription, error) {
	s.mu.Lock()
	r, ok := s.mapRuns[in.MapRunArn]
	s.mu.Unlock()
	if !ok {
		return nil, &stack.Error{Code: "ResourceNotFound", Message: fmt.Sprintf("Resource not found: '%s'", in.MapRunArn), Fields: map[string]any{"resourceName": in.MapRunArn}}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	d := &mapRunDescription{
		MapRunArn: r.arn, ExecutionArn: r.execution, Status: r.status, StartDate: stack.Time{Time: r.started},
		MaxConcurrency: r.most, ToleratedFailureCount: int(r.count), ToleratedFailurePercentage: r.share,
		ItemCounts: r.items, ExecutionCounts: r.items,
	}
	if !r.stopped.IsZero() {
		d.StopDate = &stack.Time{Time: r.stopped}
	}
	return d, nil
}

// describeMapRunTask is aws-sdk:sfn:describeMapRun. SDK integrations answer with the API's members in PascalCase:
// https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html
func (t *thread) describeMapRunTask(ctx context.Context, s *state, parameters map[string]any) (any, error) {
	arn, ok := parameters["MapRunArn"].(string)
	if !ok {
		return nil, faultf(errRuntime, "The MapRunArn of the state '%s' is %s, not a string.", s.name, kindOf(parameters["MapRunArn"]))
	}
	if err := t.authorize(ctx, "states:DescribeMapRun", arn); err != nil {
		return nil, faultf("Sfn.AccessDeniedException", "%v (Service: Sfn, Status Code: 400)", err)
	}
	d, err := t.x.service.describeMapRun(ctx, nil, &describeMapRunInput{arn})
	if err != nil {
		return nil, serviceError("Sfn", err)
	}
	counts := func(c itemCounts) map[string]any {
		return map[string]any{
			"Pending": int64(c.Pending), "Running": int64(c.Running), "Succeeded": int64(c.Succeeded), "Failed": int64(c.Failed),
			"TimedOut": int64(c.TimedOut), "Aborted": int64(c.Aborted), "Total": int64(c.Total), "ResultsWritten": int64(c.ResultsWritten),
			"FailuresNotRedrivable": int64(c.FailuresNotRedrivable), "PendingRedrive": int64(c.PendingRedrive),
		}
	}
	out := map[string]any{
		"MapRunArn": d.MapRunArn, "ExecutionArn": d.ExecutionArn, "Status": d.Status, "StartDate": d.StartDate.Format(millis),
		"MaxConcurrency": int64(d.MaxConcurrency), "ToleratedFailureCount": int64(d.ToleratedFailureCount),
		"ToleratedFailurePercentage": d.ToleratedFailurePercentage, "RedriveCount": int64(0),
		"ItemCounts": counts(d.ItemCounts), "ExecutionCounts": counts(d.ExecutionCounts),
	}
	if d.StopDate != nil {
		out["StopDate"] = d.StopDate.Format(millis)
	}
	return out, nil
}
