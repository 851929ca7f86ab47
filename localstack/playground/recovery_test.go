package playground_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/mayfly-secrets/mayfly/internal/credential"
	"github.com/mayfly-secrets/mayfly/localstack/playground"
)

// What people and accidents do between and during runs: the next run copes, as internal/rotation/version.go says.
func TestRecovery(t *testing.T) {
	t.Parallel()
	p := start(t, playground.Options{Cut: true, Policy: brisk})
	hasten(p)
	f := &failing{Playground: p}
	f.rotate(t, "onboard")
	f.rotate(t, "second") // a version before the current one, of Mayfly's
	ownersLogin := func(t *testing.T) {
		text, version := value(t, p, orders)
		slot, _ := credential.SlotOf(version)
		byHand := strings.Replace(strings.Replace(text, `"password":"`, `"password":"by-hand-`, 1), credential.User(p.Target(orders), slot), p.Target(orders).Owner, 1)
		must(t)(nil, setPassword(t, p, p.Target(orders).Owner, credential.Parse(byHand).Password()))
		put(t, p, orders, byHand)
		f.rotate(t, "after change")
	}
	for _, c := range []struct {
		name string
		test func(*testing.T)
	}{
		{"an execution was stopped by hand before its commit point", func(t *testing.T) {
			stopped := stop(t, p, write{"mayfly-test-secret", "s3", "PutObject", 0})
			f.rotate(t, "after stop")
			if run := runs(t, p, orders)[0]; run.VersionTo != stopped.VersionTo {
				t.Errorf("the next run brought %s; the stopped one's %s was at the target already (S3)", run.VersionTo, stopped.VersionTo)
			}
		}},
		{"an execution was stopped by hand in its overlap", func(t *testing.T) {
			stopped := stop(t, p, write{"mayfly-propagate-secret", "s3", "PutObject", 0})
			f.rotate(t, "after stop")
			if run := runs(t, p, orders)[0]; run.VersionTo != stopped.VersionTo || run.VersionFrom != stopped.VersionFrom {
				t.Errorf("the next run went from %s to %s, want the stopped one's %s to %s (S4)", run.VersionFrom, run.VersionTo, stopped.VersionFrom, stopped.VersionTo)
			}
		}},
		{"the database is down behind the commit point", func(t *testing.T) {
			clear := during(t, p, write{"mayfly-propagate-secret", "s3", "PutObject", 0}, func() { p.Proxy.Refuse(true) })
			execution := execute(t, p, playground.RotateMachine, map[string]any{"secret": orders})
			if got := end(t, p, execution); got != "FailedDirty" {
				t.Errorf("the run ended in %s, want FailedDirty: nobody has seen the old credential refused%s", got, why(t, p, execution))
			}
			clear()
			p.Proxy.Refuse(false)
			f.rotate(t, "after the database is back")
		}},
		{"AWSCURRENT was moved back to the version before", func(t *testing.T) {
			_, current := value(t, p, orders)
			previous := runs(t, p, orders)[0].VersionFrom
			must(t)(p.Secrets().UpdateSecretVersionStage(t.Context(), &secretsmanager.UpdateSecretVersionStageInput{SecretId: aws.String(orders),
				VersionStage: aws.String("AWSCURRENT"), MoveToVersionId: &previous, RemoveFromVersionId: &current}))
			f.rotate(t, "after move")
			if run := runs(t, p, orders)[0]; run.VersionFrom != previous || run.VersionTo == current {
				t.Errorf("the next run: %+v, want a fresh version after %s", run, previous)
			}
		}},
		{"AWSCURRENT was moved back during the overlap", func(t *testing.T) {
			// The version before is still honoured then: whoever moved the label back wants it, and it must stay honoured.
			_, before := value(t, p, orders)
			stop(t, p, write{"mayfly-propagate-secret", "s3", "PutObject", 0})
			_, current := value(t, p, orders)
			must(t)(p.Secrets().UpdateSecretVersionStage(t.Context(), &secretsmanager.UpdateSecretVersionStageInput{SecretId: aws.String(orders),
				VersionStage: aws.String("AWSCURRENT"), MoveToVersionId: &before, RemoveFromVersionId: &current}))
			service := serve(t, p, orders)
			f.rotate(t, "after move")
			if c := service.Counts(); c.Logins == 0 {
				t.Error("nobody logged in meanwhile")
			}
		}},
		{"a login's password was changed by hand", func(t *testing.T) {
			text, version := value(t, p, orders)
			slot, _ := credential.SlotOf(version)
			login := credential.User(p.Target(orders), slot)
			byHand := strings.Replace(text, `"password":"`, `"password":"by-hand-`, 1)
			must(t)(nil, setPassword(t, p, login, credential.Parse(byHand).Password()))
			put(t, p, orders, byHand)
			f.rotate(t, "after change")
		}},
		{"the standby login was put in use by hand", func(t *testing.T) {
			text, version := value(t, p, orders)
			slot, _ := credential.SlotOf(version)
			login, standby := credential.User(p.Target(orders), slot), credential.User(p.Target(orders), credential.NextSlot("dual", slot))
			byHand := strings.Replace(strings.Replace(text, `"password":"`, `"password":"by-hand-`, 1), login, standby, 1)
			must(t)(nil, setPassword(t, p, standby, credential.Parse(byHand).Password()))
			put(t, p, orders, byHand)
			f.rotate(t, "after change")
		}},
		{"the owner's login was put back in use by hand", ownersLogin},
		{"the owner's login was put back in use by hand, with the other standby login", func(t *testing.T) {
			f.rotate(t, "between")
			ownersLogin(t)
		}},
		{"the registry was lost", func(t *testing.T) {
			lost := contractOf(t, p, orders)
			wipe(t, p, playground.ContractsTable)
			if got := end(t, p, execute(t, p, playground.RotateMachine, map[string]any{"secret": orders})); got != "FailedClean" {
				t.Errorf("without a registry the run ended in %s, want FailedClean", got)
			}
			apply(t, p)
			found := contractOf(t, p, orders)
			if number(found["fence"]) <= number(lost["fence"]) {
				t.Errorf("the fence went from %d to %d: the target would refuse every run", number(lost["fence"]), number(found["fence"]))
			}
			if found["digest"].(*types.AttributeValueMemberS).Value != lost["digest"].(*types.AttributeValueMemberS).Value {
				t.Error("the contract came back different")
			}
			f.rotate(t, "after loss")
			if _, err := p.CheckAudit(t.Context()); err != nil {
				t.Errorf("the chain: %v", err)
			}
		}},
		{"the registry was lost during a run", func(t *testing.T) {
			clear := during(t, p, write{"mayfly-finish-secret", "dynamodb", "UpdateItem", 0}, func() { wipe(t, p, playground.ContractsTable); apply(t, p) })
			if got := end(t, p, execute(t, p, playground.RotateMachine, map[string]any{"secret": orders})); got != "FailedClean" {
				t.Errorf("the run ended in %s, want FailedClean", got)
			}
			clear()
			if err := p.CheckLaws(t.Context(), orders); err != nil {
				t.Error(err)
			}
			f.rotate(t, "after loss")
		}},
		{"the history was lost", func(t *testing.T) {
			wipe(t, p, playground.RunsTable)
			f.rotate(t, "after loss")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.test(t)
			if err := p.CheckLaws(t.Context(), orders); err != nil {
				t.Error(err)
			}
		})
	}
	clean(t, p)
}

// stop starts a run and stops its execution by hand when it is about to make a write, which it then does not make.
func stop(t *testing.T, p *playground.Playground, w write) playground.RunItem {
	t.Helper()
	stopped := make(chan error, 1)
	var execution string
	started := make(chan struct{})
	clear := during(t, p, w, func() {
		<-started
		_, err := sfn.NewFromConfig(p.AWS).StopExecution(context.Background(), &sfn.StopExecutionInput{ExecutionArn: &execution})
		stopped <- err
	})
	defer clear()
	execution, err := p.Rotate(t.Context(), orders, "stopped", "test")
	must(t)(nil, err)
	close(started)
	select {
	case err := <-stopped:
		must(t)(nil, err)
	case <-time.After(30 * time.Second):
		t.Fatalf("the run never made %s", w)
	}
	return runs(t, p, orders)[0]
}

// contractOf is the registry's item of a secret.
func contractOf(t *testing.T, p *playground.Playground, secret string) map[string]types.AttributeValue {
	t.Helper()
	out, err := dynamodb.NewFromConfig(p.AWS).GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(playground.ContractsTable),
		Key: map[string]types.AttributeValue{"secret": &types.AttributeValueMemberS{Value: secret}, "item": &types.AttributeValueMemberS{Value: "contract"}}})
	must(t)(nil, err)
	return out.Item
}

func number(v types.AttributeValue) (n int64) {
	if v, ok := v.(*types.AttributeValueMemberN); ok {
		_, _ = fmt.Sscan(v.Value, &n)
	}
	return n
}

// wipe deletes every item of a table.
func wipe(t *testing.T, p *playground.Playground, table string) {
	t.Helper()
	db := dynamodb.NewFromConfig(p.AWS)
	out, err := db.Scan(context.Background(), &dynamodb.ScanInput{TableName: &table})
	must(t)(nil, err)
	sortKey := map[string]string{playground.ContractsTable: "item", playground.RunsTable: "run"}[table]
	for _, item := range out.Items {
		_, err := db.DeleteItem(context.Background(), &dynamodb.DeleteItemInput{TableName: &table,
			Key: map[string]types.AttributeValue{"secret": item["secret"], sortKey: item[sortKey]}})
		must(t)(nil, err)
	}
}

// apply calls apply-contracts as CloudFormation does on every deployment.
func apply(t *testing.T, p *playground.Playground) {
	t.Helper()
	answers := make(chan []byte, 1)
	cloudFormation := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		answers <- body
	}))
	defer cloudFormation.Close()
	request, err := json.Marshal(map[string]any{"RequestType": "Update", "RequestId": fmt.Sprint("again-", time.Now().UnixNano()), "ResponseURL": cloudFormation.URL,
		"StackId": "stack", "LogicalResourceId": "Contracts", "PhysicalResourceId": "mayfly-contracts", "ResourceType": "Custom::Contracts"})
	must(t)(nil, err)
	result, err := p.Stack.Functions.Invoke(context.Background(), "mayfly-apply-contracts", request, "")
	must(t)(nil, err)
	select {
	case answer := <-answers:
		if !strings.Contains(string(answer), `"SUCCESS"`) {
			t.Fatalf("apply-contracts answered %s", answer)
		}
	default:
		t.Fatalf("apply-contracts answered nothing: %s %s", result.ErrorType, result.ErrorMessage)
	}
}

// setPassword does by hand at the database what nobody should.
func setPassword(t *testing.T, p *playground.Playground, login, password string) error {
	t.Helper()
	verifier, err := verifierOf(password)
	if err != nil {
		return err
	}
	return p.Server.Exec(t.Context(), "postgres", fmt.Sprintf("ALTER ROLE %q LOGIN PASSWORD '%s' VALID UNTIL 'infinity'", login, verifier))
}
