// Package dynamodb is the local stack's DynamoDB: items, conditions, updates, transactions, queries over tables and
// secondary indexes, and time to live.
//
// Operations: GetItem, PutItem, UpdateItem, DeleteItem, Query, Scan, BatchGetItem, BatchWriteItem, TransactGetItems,
// TransactWriteItems, CreateTable, DeleteTable, DescribeTable, ListTables, DescribeTimeToLive, UpdateTimeToLive,
// DescribeContinuousBackups, as in https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/.
// CloudFormation: AWS::DynamoDB::Table and AWS::DynamoDB::GlobalTable.
//
// One mutex guards the whole service, so every operation, a transaction too, is serialised with every other: reads are
// always consistent, indexes always up to date, and TransactionConflict never happens.
//
// Left out: the parameters from before expressions (Expected, AttributeUpdates, KeyConditions, …), PartiQL, parallel
// scans, streams, backups, tags, UpdateTable, throughput limits, and index writes in ConsumedCapacity. Unknown input is
// an error.
package dynamodb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Service is DynamoDB. Make it with New.
type Service struct {
	stack.JSON
	clock *stack.Clock

	mu     sync.Mutex
	tables map[string]*table
	tokens map[string]transaction // by ClientRequestToken
}

// New makes a DynamoDB without tables, living on the stack's clock.
func New(clock *stack.Clock) *Service {
	s := &Service{clock: clock, tables: map[string]*table{}, tokens: map[string]transaction{}}
	s.JSON = stack.JSON{Signing: "dynamodb", Target: "DynamoDB_20120810", Version: "1.0", Ops: map[string]stack.Op{
		"GetItem":                   handle(s, s.getItem),
		"PutItem":                   handle(s, s.putItem),
		"UpdateItem":                handle(s, s.updateItem),
		"DeleteItem":                handle(s, s.deleteItem),
		"Query":                     handle(s, s.query),
		"Scan":                      handle(s, s.scan),
		"BatchGetItem":              handle(s, s.batchGetItem),
		"BatchWriteItem":            handle(s, s.batchWriteItem),
		"TransactGetItems":          handle(s, s.transactGetItems),
		"TransactWriteItems":        handle(s, s.transactWriteItems),
		"CreateTable":               handle(s, s.createTable),
		"DeleteTable":               handle(s, s.deleteTable),
		"DescribeTable":             handle(s, s.describeTable),
		"ListTables":                handle(s, s.listTables),
		"DescribeTimeToLive":        handle(s, s.describeTimeToLive),
		"UpdateTimeToLive":          handle(s, s.updateTimeToLive),
		"DescribeContinuousBackups": handle(s, s.describeContinuousBackups),
	}}
	return s
}

// Serve answers with the CRC32 of the body, which the SDKs check; one of them also complains where it is missing.
func (s *Service) Serve(ctx context.Context, call *stack.Call) stack.Reply {
	reply := s.JSON.Serve(ctx, call)
	reply.Header.Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(reply.Body)), 10))
	return reply
}

// handle makes an operation of a method that runs under the service's mutex. It differs from stack.Handle in that a
// value which breaks DynamoDB's rules is a ValidationException and not an error in the JSON.
func handle[In, Out any](s *Service, f func(in *In) (*Out, error)) stack.Op {
	return func(_ context.Context, call *stack.Call) (any, error) {
		in := new(In)
		if err := decode(call.Body, in); err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		out, err := f(in)
		if err != nil {
			return nil, err
		}
		return out, nil
	}
}

// decode reads input strictly.
func decode(body []byte, in any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	err := dec.Decode(in)
	if fault := (*stack.Error)(nil); err == nil || errors.As(err, &fault) {
		return err
	}
	return &stack.Error{Code: "SerializationException", Message: fmt.Sprintf("%v (local stack: input is read strictly)", err)}
}

// table finds a table by its name or ARN and deletes from it what time to live is done with.
func (s *Service) table(nameOrARN string) (*table, error) {
	if nameOrARN == "" {
		return nil, invalid("The parameter 'TableName' is required but was not present in the request")
	}
	t, ok := s.tables[strings.TrimPrefix(nameOrARN, tableARN(""))]
	if !ok {
		return nil, noTable()
	}
	t.sweep(s.now())
	return t, nil
}

func (s *Service) now() time.Time { return s.clock.Now() }
