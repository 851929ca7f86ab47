// Package metrics is Amazon CloudWatch's metrics and alarms. It speaks what its clients send: Smithy RPC v2 CBOR (Go SDK)
// and AWS JSON 1.0 (AWS CLI v1).
//
// Operations: PutMetricData, GetMetricData, GetMetricStatistics, ListMetrics, DescribeAlarms, SetAlarmState. Alarms come
// from templates, over one metric or over a math expression of + - * / and FILL. They are evaluated whenever somebody
// asks for them and whenever the stack's clock is advanced, minute by minute for the time that has passed.
//
// Left out: composite and anomaly alarms, metric streams, search expressions, units (kept nowhere), paging of metrics.
//
// Pages: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Operations.html,
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html,
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html,
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
package metrics

import (
	"context"
	"fmt"
	"net/http"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Publish sends a message to an SNS topic.
type Publish func(ctx context.Context, topicARN, subject, message string) error

// Service holds every metric and alarm in memory.
type Service struct {
	cbor    stack.CBOR
	json    stack.JSON
	clock   *stack.Clock
	publish Publish

	mu     sync.Mutex
	series map[string]*series // by key
	alarms map[string]*alarm
}

// New makes a service without metrics. Alarm actions go through publish; if nil, alarms change state and tell nobody.
func New(clock *stack.Clock, publish Publish) *Service {
	s := &Service{clock: clock, publish: publish, series: map[string]*series{}, alarms: map[string]*alarm{}}
	ops := map[string]stack.Op{
		"PutMetricData":       stack.Handle(s.putMetricData),
		"GetMetricData":       stack.Handle(s.getMetricData),
		"GetMetricStatistics": stack.Handle(s.getMetricStatistics),
		"ListMetrics":         stack.Handle(s.listMetrics),
		"DescribeAlarms":      stack.Handle(s.describeAlarms),
		"SetAlarmState":       stack.Handle(s.setAlarmState),
	}
	s.cbor = stack.CBOR{Signing: "monitoring", Shape: "GraniteServiceVersion20100801", Ops: ops}
	s.json = stack.JSON{Signing: "monitoring", Target: "GraniteServiceVersion20100801", Version: "1.0", Ops: ops}
	clock.Watch(func(time.Duration) { s.Evaluate() })
	return s
}

// Name is the signing name.
func (s *Service) Name() string { return "monitoring" }

// speaksCBOR tells the two protocols apart.
func speaksCBOR(r *http.Request) bool { return r.Header.Get("Smithy-Protocol") != "" }

// Operation names the operation, by path or by X-Amz-Target.
func (s *Service) Operation(r *http.Request, body []byte) (string, error) {
	if speaksCBOR(r) {
		return s.cbor.Operation(r, body)
	}
	return s.json.Operation(r, body)
}

// Serve carries the operation out in the protocol of the request.
func (s *Service) Serve(ctx context.Context, call *stack.Call) stack.Reply {
	var reply stack.Reply
	if speaksCBOR(call.Request) {
		reply = s.cbor.Serve(ctx, call)
	} else {
		reply = s.serveJSON(ctx, call)
	}
	return named(reply)
}

// FailFor writes an error that the operation itself has nothing to do with, in the protocol of the request.
func (s *Service) FailFor(r *http.Request, err error) stack.Reply {
	if speaksCBOR(r) {
		return named(s.cbor.Fail(err))
	}
	return named(s.json.Fail(err))
}

// named adds the names by which clients made for the older Query protocol know errors.
// https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#aws-protocols-awsquerycompatible-trait
func named(reply stack.Reply) stack.Reply {
	if reply.Code != "" {
		reply.Header.Set("x-amzn-query-error", queryName(reply.Code)+";Sender")
	}
	return reply
}

func queryName(code string) string {
	if code == "MissingRequiredParameterException" {
		return "MissingParameter"
	}
	return strings.TrimSuffix(code, "Exception")
}

// sample is one datum: a value, or the statistic set of many.
type sample struct {
	at                   time.Time
	sum, count, min, max float64
}

// series is all data of one metric, by time.
type series struct {
	namespace, name string
	dims            map[string]string
	samples         []sample
}

func key(namespace, name string, dims map[string]string) string {
	parts := make([]string, 0, len(dims))
	for k, v := range dims {
		parts = append(parts, fmt.Sprintf("%q=%q", k, v))
	}
	sort.Strings(parts)
	return fmt.Sprintf("%q %q %s", namespace, name, strings.Join(parts, " "))
}

// Add records one value, as a service of AWS does for its own metrics.
func (s *Service) Add(namespace, name string, dims map[string]string, value float64, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(namespace, name, dims, sample{at, value, 1, value, value})
}

func (s *Service) add(namespace, name string, dims map[string]string, v sample) {
	k := key(namespace, name, dims)
	m, ok := s.series[k]
	if !ok {
		m = &series{namespace: namespace, name: name, dims: map[string]string{}}
		for k, v := range dims {
			m.dims[k] = v
		}
		s.series[k] = m
	}
	i := sort.Search(len(m.samples), func(i int) bool { return m.samples[i].at.After(v.at) })
	m.samples = append(m.samples, sample{})
	copy(m.samples[i+1:], m.samples[i:])
	m.samples[i] = v
}

// between gives the samples in [from, to).
func (m *series) between(from, to time.Time) []sample {
	if m == nil {
		return nil
	}
	i := sort.Search(len(m.samples), func(i int) bool { return !m.samples[i].at.Before(from) })
	j := sort.Search(len(m.samples), func(i int) bool { return !m.samples[i].at.Before(to) })
	return m.samples[i:j]
}

// newest is the time of the last sample, zero without samples.
func (m *series) newest() time.Time {
	if m == nil || len(m.samples) == 0 {
		return time.Time{}
	}
	return m.samples[len(m.samples)-1].at
}

func invalid(format string, args ...any) error {
	return &stack.Error{Code: "InvalidParameterValueException", Message: fmt.Sprintf(format, args...)}
}
