package template

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/template/name"
)

func isCustom(typ string) bool {
	return typ == "AWS::CloudFormation::CustomResource" || strings.HasPrefix(typ, "Custom::")
}

// customRequest is what CloudFormation sends to a custom resource's function.
// Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html
type customRequest struct {
	RequestType           string
	ServiceToken          string
	ResponseURL           string
	StackID               string `json:"StackId"`
	RequestID             string `json:"RequestId"`
	LogicalResourceID     string `json:"LogicalResourceId"`
	PhysicalResourceID    string `json:"PhysicalResourceId,omitempty"`
	ResourceType          string
	ResourceProperties    any
	OldResourceProperties any `json:",omitempty"`
}

// customResource is one that a Delete request is due for.
type customResource struct {
	id, typ, physical string
	properties        string // as last sent
}

// custom creates or updates a custom resource. A changed physical id means that the provider made a new resource: the
// old one gets its Delete request when the rest of the stack stands.
func (d *deployment) custom(ctx context.Context, id, typ string, properties map[string]any, before deployed) (stack.Made, error) {
	request := customRequest{RequestType: "Create", LogicalResourceID: id, ResourceType: typ, ResourceProperties: asText(properties)}
	physical := d.stack.Resources[id].Ref
	update := isCustom(before.Type)
	if update {
		if before.Type != typ {
			return stack.Made{}, fmt.Errorf("update of resource type is not permitted: it was %s", before.Type)
		}
		old, err := textProperties(before.Properties)
		if err != nil {
			return stack.Made{}, err
		}
		request.RequestType, request.PhysicalResourceID, request.OldResourceProperties = "Update", physical, old
	}
	answer, err := d.ask(ctx, request, properties)
	if err != nil {
		return stack.Made{}, err
	}
	if update && answer.PhysicalResourceID != physical {
		d.stack.replaced = append(d.stack.replaced, customResource{id: id, typ: typ, physical: physical, properties: before.Properties})
	}
	att := map[string]string{}
	for k, v := range answer.Data {
		if text, ok := asText(v).(string); ok {
			att[k] = text
		} else {
			att[k] = show(v)
		}
	}
	return stack.Made{Ref: answer.PhysicalResourceID, Att: att}, nil
}

func (d *deployment) deleteCustom(ctx context.Context, old customResource) error {
	var properties map[string]any
	if err := json.Unmarshal([]byte(old.properties), &properties); err != nil {
		return err
	}
	sent, err := textProperties(old.properties)
	if err != nil {
		return err
	}
	_, err = d.ask(ctx, customRequest{
		RequestType: "Delete", LogicalResourceID: old.id, ResourceType: old.typ,
		PhysicalResourceID: old.physical, ResourceProperties: sent,
	}, properties)
	return err
}

// textProperties reads resolved properties the way the function saw them: every scalar a string.
func textProperties(text string) (any, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	err := dec.Decode(&v)
	return asText(v), err
}

// ask sends one request to the resource's function and waits, in real time, for the answer at the response URL.
//
// CloudFormation invokes the function asynchronously and learns nothing of a crash: it waits until ServiceTimeout. Here
// an invocation that fails without having answered fails the deployment at once, with the function's own error.
func (d *deployment) ask(ctx context.Context, request customRequest, properties map[string]any) (customAnswer, error) {
	token, ok := properties["ServiceToken"].(string)
	if !ok || token == "" {
		return customAnswer{}, fmt.Errorf("has no ServiceToken")
	}
	if !strings.HasPrefix(token, "arn:aws:lambda:") {
		return customAnswer{}, fmt.Errorf("ServiceToken %s is not the ARN of a Lambda function", token)
	}
	timeout, err := d.timeout(properties)
	if err != nil {
		return customAnswer{}, err
	}
	request.ServiceToken, request.StackID, request.RequestID = token, d.stack.ID, name.UUID()
	wait := d.options.Responses.expect(request.RequestID)
	defer wait.forget()
	request.ResponseURL = wait.url
	payload, err := json.Marshal(request)
	if err != nil {
		return customAnswer{}, err
	}
	failed := make(chan error, 1)
	go func() {
		// The function answers before it returns: the end of this deployment must not end it.
		if err := d.options.Invoke(context.WithoutCancel(ctx), token, payload); err != nil {
			failed <- err
		}
	}()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case answer := <-wait.answer:
		return answer, answer.check(request)
	case <-ctx.Done():
		return customAnswer{}, ctx.Err()
	case err := <-failed:
		select {
		case answer := <-wait.answer: // it answered first and failed afterwards: the answer counts
			return answer, answer.check(request)
		default:
			return customAnswer{}, fmt.Errorf("%s: function %s failed before it answered: %w", request.RequestType, token, err)
		}
	case <-timer.C:
		return customAnswer{}, fmt.Errorf("%s: CloudFormation did not receive a response from your Custom Resource within %v. Please check your logs for requestId [%s]", request.RequestType, timeout, request.RequestID)
	}
}

// timeout is ServiceTimeout in seconds, 1 to 3600. Without it CloudFormation waits an hour; here Options decide.
func (d *deployment) timeout(properties map[string]any) (time.Duration, error) {
	v, ok := properties["ServiceTimeout"]
	if !ok {
		return d.options.ResponseTimeout, nil
	}
	seconds, err := strconv.Atoi(fmt.Sprint(v))
	if err != nil || seconds < 1 || seconds > 3600 {
		return 0, fmt.Errorf("ServiceTimeout must be an integer from 1 to 3600, not %v", v)
	}
	return time.Duration(seconds) * time.Second, nil
}
