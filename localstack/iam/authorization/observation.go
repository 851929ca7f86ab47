package authorization

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"

	"github.com/aws/smithy-go/encoding/cbor"

	"github.com/mayfly-secrets/mayfly/localstack/iam/policy"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// logs: the ARN of a log group that is checked ends with ":log-stream:" and the stream, if there is one, which is why
// policies write "log-group:NAME:*". Only tagging is checked for the group alone.
//   - https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html
//   - https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_LogGroup.html
func (a *Authorizer) logs(call *stack.Call) ([]need, error) {
	var r struct{ LogGroupName, LogGroupIdentifier, LogStreamName, ResourceArn string }
	if err := read(call, &r); err != nil {
		return nil, err
	}
	group := r.LogGroupName
	if group == "" {
		group = strings.TrimSuffix(strings.TrimPrefix(r.LogGroupIdentifier, arn("logs", "log-group:")), ":*")
	}
	n := need{action: "logs:" + call.Operation}
	switch call.Operation {
	case "TagResource":
		n.resource = r.ResourceArn
		return []need{n}, nil
	case "PutLogEvents", "GetLogEvents":
		n.resource = arn("logs", fmt.Sprintf("log-group:%s:log-stream:%s", group, r.LogStreamName))
	case "CreateLogGroup", "CreateLogStream", "DescribeLogGroups", "DescribeLogStreams", "FilterLogEvents", "PutRetentionPolicy":
		n.resource = arn("logs", fmt.Sprintf("log-group:%s:log-stream:", group))
	default:
		return nil, errUnknown
	}
	return []need{n}, nil
}

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html
func (a *Authorizer) monitoring(call *stack.Call) ([]need, error) {
	n := need{action: "cloudwatch:" + call.Operation, resource: "*", keys: policy.Context{}}
	switch call.Operation {
	case "PutMetricData", "SetAlarmState":
		r, err := readMetric(call)
		if err != nil {
			return nil, err
		}
		if r.Namespace != "" {
			n.keys.Set("cloudwatch:namespace", r.Namespace)
		}
		if r.AlarmName != "" {
			n.resource = arn("cloudwatch", "alarm:"+r.AlarmName)
		}
	case "DescribeAlarms":
		n.resource = arn("cloudwatch", "alarm:*") // whichever alarms the request names
	case "GetMetricData", "GetMetricStatistics", "ListMetrics":
	default:
		return nil, errUnknown
	}
	return []need{n}, nil
}

type metricRequest struct{ Namespace, AlarmName string }

// readMetric reads a body of AWS JSON, or of RPC v2 CBOR, which clients compress when it is large.
func readMetric(call *stack.Call) (r metricRequest, err error) {
	if call.Request.Header.Get("Smithy-Protocol") == "" {
		return r, read(call, &r)
	}
	body := call.Body
	if call.Request.Header.Get("Content-Encoding") == "gzip" {
		var z *gzip.Reader
		if z, err = gzip.NewReader(bytes.NewReader(body)); err == nil {
			body, err = io.ReadAll(io.LimitReader(z, 32<<20))
		}
	}
	var v cbor.Value
	if err == nil {
		v, err = cbor.Decode(body)
	}
	members, ok := v.(cbor.Map)
	if err != nil || !ok {
		return r, &stack.Error{Code: "SerializationException", Message: fmt.Sprintf("%s.%s: the body is not a map in CBOR", call.Service, call.Operation)}
	}
	namespace, _ := members["Namespace"].(cbor.String) // "" if it is missing, which the service refuses
	alarm, _ := members["AlarmName"].(cbor.String)
	return metricRequest{string(namespace), string(alarm)}, nil
}
