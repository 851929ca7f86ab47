package audit

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Answer is what an auditor asks of a secret: when was it last rotated, why, by which workflow, and did the last run
// succeed. Its members are the columns of the four named Athena queries, and so are its values.
type Answer struct {
	Environment string    `json:"environment"`
	Secret      string    `json:"secret"`
	Owner       string    `json:"owner"`
	LastRotated string    `json:"last_rotated,omitempty"` // RFC 3339; empty: never
	Why         *Why      `json:"why,omitempty"`          // nil: never rotated
	Workflow    *Workflow `json:"workflow,omitempty"`     // nil: never rotated
	Outcome     *Outcome  `json:"outcome,omitempty"`      // nil: no run has ended
}

// Why is the trigger of the last rotation.
type Why struct {
	TriggerType   string `json:"trigger_type"`
	TriggerSource string `json:"trigger_source"`
	TriggerID     string `json:"trigger_id"`
	Actor         string `json:"actor"`
	Reason        string `json:"reason"`
}

// Workflow is what carried the last rotation out, and under which contract.
type Workflow struct {
	ExecutionARN   string `json:"execution_arn"`
	RunID          string `json:"run_id"`
	ContractCommit string `json:"contract_commit"`
	ContractDigest string `json:"contract_digest"`
}

// Outcome is how the last run ended, whether or not it rotated the secret.
type Outcome struct {
	Closed      string `json:"closed"` // RFC 3339
	Outcome     string `json:"outcome"`
	ReasonCode  string `json:"reason_code"`
	Reason      string `json:"reason"`
	VersionFrom string `json:"version_from"`
	VersionTo   string `json:"version_to"`
}

// Answers answers for every secret that the records, in any order, speak of, by environment and secret. Of the records that
// say how a run ended, the last one in the chain counts; all others are passed over.
func Answers(records []Record) []Answer {
	type last struct{ rotated, ended *Record }
	secrets := map[[2]string]last{}
	for i := range records {
		r := &records[i]
		id := [2]string{r.Environment, r.Secret}
		l := secrets[id]
		if ends(r) && (l.ended == nil || r.Seq > l.ended.Seq) {
			l.ended = r
		}
		if r.Outcome == Rotated && (l.rotated == nil || r.Seq > l.rotated.Seq) {
			l.rotated = r
		}
		secrets[id] = l
	}
	answers := make([]Answer, 0, len(secrets))
	for id, l := range secrets {
		answers = append(answers, answer(id[0], id[1], l.rotated, l.ended))
	}
	slices.SortFunc(answers, func(x, y Answer) int {
		return cmp.Or(strings.Compare(x.Environment, y.Environment), strings.Compare(x.Secret, y.Secret))
	})
	return answers
}

func answer(environment, secret string, rotated, ended *Record) Answer {
	a := Answer{Environment: environment, Secret: secret}
	if r := ended; r != nil {
		a.Owner = r.Owner
		a.Outcome = &Outcome{
			Closed: r.Time, Outcome: r.Outcome, ReasonCode: r.ReasonCode, Reason: r.Reason, VersionFrom: r.VersionFrom, VersionTo: r.VersionTo,
		}
	}
	if r := rotated; r != nil {
		a.Owner, a.LastRotated = r.Owner, r.Time
		a.Why = &Why{TriggerType: r.TriggerType, TriggerSource: r.TriggerSource, TriggerID: r.TriggerID, Actor: r.Actor, Reason: r.Reason}
		a.Workflow = &Workflow{ExecutionARN: r.ExecutionARN, RunID: r.RunID, ContractCommit: r.ContractCommit, ContractDigest: r.ContractDigest}
	}
	return a
}

func ends(r *Record) bool {
	return slices.Contains([]string{Rotated, FailedClean, FailedDirty}, r.Outcome)
}

// Recent reads what Answers needs: of a secret, or of every secret of the environment where secret is empty, the records
// from the newest back to the one that says "rotated". A secret that was never rotated is read to its beginning. Each
// record is checked against its own hash; whether any is missing only Verify can tell.
func (l *Log) Recent(ctx context.Context, environment, secret string) ([]Record, error) {
	dates, err := l.Dates(ctx, environment)
	if err != nil {
		return nil, err
	}
	var records []Record
	answered := map[string]bool{} // by folder of the secret, which is the same under every date
	for _, date := range slices.Backward(dates) {
		keys, err := l.keys(ctx, environment, date, secret)
		if err != nil {
			return nil, err
		}
		for _, key := range slices.Backward(keys) {
			slug, _, _ := strings.Cut(strings.TrimPrefix(key, partition(environment, date)), "/")
			if answered[slug] {
				continue
			}
			rec, err := l.get(ctx, key)
			if err != nil {
				return nil, err
			}
			records = append(records, rec)
			answered[slug] = rec.Outcome == Rotated
		}
	}
	return records, nil
}

// keys lists the records of one partition: a secret's, or all of them, each secret's in order.
func (l *Log) keys(ctx context.Context, environment, date, secret string) ([]string, error) {
	if secret != "" {
		return l.Keys(ctx, environment, date, secret)
	}
	prefix := partition(environment, date)
	var keys []string
	pages := s3.NewListObjectsV2Paginator(l.S3, &s3.ListObjectsV2Input{Bucket: &l.Bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Contents {
			keys = append(keys, *o.Key)
		}
	}
	return keys, nil
}
