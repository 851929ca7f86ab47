package dynamodb

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Limits of transactions.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
const (
	maxTransaction     = 100
	maxTransactionSize = 4 << 20 // bytes of the items and keys in the request
	tokenLife          = 10 * time.Minute
)

type transactWriteItemsInput struct {
	TransactItems               []transactItem
	ClientRequestToken          string
	ReturnConsumedCapacity      string
	ReturnItemCollectionMetrics string // accepted; see returning
}

type transactItem struct {
	Put            *putWrite    `json:",omitempty"`
	Update         *updateWrite `json:",omitempty"`
	Delete         *deleteWrite `json:",omitempty"`
	ConditionCheck *deleteWrite `json:",omitempty"`
}

type transactOutput struct {
	Responses        []itemOutput `json:",omitempty"`
	ConsumedCapacity []*capacity  `json:",omitempty"`
}

// A transaction is one that succeeded under a ClientRequestToken.
type transaction struct {
	request []byte // canonical JSON
	until   time.Time
}

func (s *Service) transactWriteItems(in *transactWriteItemsInput) (*transactOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	done, err := s.repeated(in)
	if err != nil {
		return nil, err
	}
	var writes []*write
	for _, t := range in.TransactItems {
		w, err := t.parse()
		if err != nil {
			return nil, err
		}
		writes = append(writes, w)
	}
	if err := s.bindAll(writes); err != nil {
		return nil, err
	}
	if !done {
		if err := commit(writes); err != nil {
			return nil, err
		}
		if err := s.remember(in); err != nil {
			return nil, err
		}
	}
	out := &transactOutput{}
	for _, w := range writes {
		found := w.table.get(w.key())
		if c := consumed(in.ReturnConsumedCapacity, w.tableName, 2*writeUnits(nil, found)); c != nil {
			out.ConsumedCapacity = append(out.ConsumedCapacity, c)
		}
	}
	return out, nil
}

func (in *transactWriteItemsInput) check() error {
	if err := checkCapacity(in.ReturnConsumedCapacity); err != nil {
		return err
	}
	if err := transactionLength(len(in.TransactItems)); err != nil {
		return err
	}
	if len(in.ClientRequestToken) > 36 {
		return unmet(in.ClientRequestToken, "clientRequestToken", "Member must have length less than or equal to 36")
	}
	size := 0
	for _, t := range in.TransactItems {
		size += t.size()
	}
	if size > maxTransactionSize {
		return invalid("Member must satisfy constraint: transaction payload size cannot exceed 4194304 bytes")
	}
	return nil
}

func transactionLength(n int) error {
	switch {
	case n == 0:
		return unmet("[]", "transactItems", "Member must have length greater than or equal to 1")
	case n > maxTransaction:
		return unmet("[...]", "transactItems", "Member must have length less than or equal to 100")
	}
	return nil
}

func (t transactItem) size() int {
	switch {
	case t.Put != nil:
		return t.Put.Item.size() + item(t.Put.ExpressionAttributeValues).size()
	case t.Update != nil:
		return t.Update.Key.size() + item(t.Update.ExpressionAttributeValues).size()
	case t.Delete != nil:
		return t.Delete.Key.size() + item(t.Delete.ExpressionAttributeValues).size()
	case t.ConditionCheck != nil:
		return t.ConditionCheck.Key.size() + item(t.ConditionCheck.ExpressionAttributeValues).size()
	}
	return 0
}

func (t transactItem) parse() (*write, error) {
	var parsers []func() (*write, error)
	if t.Put != nil {
		parsers = append(parsers, t.Put.parse)
	}
	if t.Update != nil {
		if t.Update.UpdateExpression == nil {
			return nil, unmet("null", "transactItems.member.update.updateExpression", "Member must not be null")
		}
		parsers = append(parsers, t.Update.parse)
	}
	if t.Delete != nil {
		parsers = append(parsers, t.Delete.parse)
	}
	if t.ConditionCheck != nil {
		parsers = append(parsers, t.ConditionCheck.parseCheck)
	}
	if len(parsers) != 1 {
		return nil, invalid("TransactItems can only contain one of Check, Put, Update or Delete")
	}
	return parsers[0]()
}

// bindAll finds the tables and checks the writes against them. The first write that does not fit its table cancels the
// transaction; two writes of one item are an error of the request.
func (s *Service) bindAll(writes []*write) error {
	for n, w := range writes {
		err := s.bound(w)
		if w.table != nil && err != nil {
			reasons := make([]reason, len(writes))
			reasons[n] = reasonFor(err)
			return canceled(reasons)
		}
		if err != nil {
			return err
		}
	}
	seen := map[string]bool{}
	for _, w := range writes {
		if seen[w.id()] {
			return invalid("Transaction request cannot include multiple operations on one item")
		}
		seen[w.id()] = true
	}
	return nil
}

// commit decides all writes and carries them out, or none.
func commit(writes []*write) error {
	type change struct{ before, after item }
	changes := make([]change, len(writes))
	reasons := make([]reason, len(writes))
	failed := false
	for n, w := range writes {
		before, after, err := w.decide()
		if err != nil {
			failed = true
			reasons[n] = reasonFor(err)
		}
		changes[n] = change{before, after}
	}
	if failed {
		return canceled(reasons)
	}
	// The commit point: nothing below can fail.
	for n, w := range writes {
		w.table.replace(changes[n].before, changes[n].after)
	}
	return nil
}

// A reason says why one write of a transaction could not be; zero is a write that could.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CancellationReason.html
type reason struct {
	Code    string
	Message string `json:",omitempty"`
	Item    any    `json:",omitempty"`
}

func reasonFor(err error) reason {
	fault := (*stack.Error)(nil)
	if !errors.As(err, &fault) {
		return reason{Code: "ValidationError", Message: err.Error()}
	}
	if fault.Code == "ConditionalCheckFailedException" {
		return reason{Code: "ConditionalCheckFailed", Message: fault.Message, Item: fault.Fields["Item"]}
	}
	return reason{Code: "ValidationError", Message: fault.Message}
}

func canceled(reasons []reason) error {
	codes := make([]string, len(reasons))
	for n := range reasons {
		if reasons[n].Code == "" {
			reasons[n].Code = "None"
		}
		codes[n] = reasons[n].Code
	}
	return &stack.Error{
		Code:    "TransactionCanceledException",
		Message: "Transaction cancelled, please refer cancellation reasons for specific reasons " + spaced(codes),
		Fields:  map[string]any{"CancellationReasons": reasons},
	}
}

// repeated says whether this very transaction succeeded under its token within the last 10 minutes.
func (s *Service) repeated(in *transactWriteItemsInput) (bool, error) {
	now := s.now()
	for token, t := range s.tokens {
		if !now.Before(t.until) {
			delete(s.tokens, token)
		}
	}
	earlier, ok := s.tokens[in.ClientRequestToken]
	if !ok {
		return false, nil
	}
	request, err := json.Marshal(in.TransactItems)
	if err != nil {
		return false, err
	}
	if !bytes.Equal(request, earlier.request) {
		return false, &stack.Error{
			Code:    "IdempotentParameterMismatchException",
			Message: "DynamoDB rejected the request because you retried a request with a different payload but with an idempotent token that was already used.",
		}
	}
	return true, nil
}

func (s *Service) remember(in *transactWriteItemsInput) error {
	if in.ClientRequestToken == "" {
		return nil
	}
	request, err := json.Marshal(in.TransactItems)
	s.tokens[in.ClientRequestToken] = transaction{request: request, until: s.now().Add(tokenLife)}
	return err
}

type transactGetItemsInput struct {
	TransactItems          []struct{ Get *transactGet }
	ReturnConsumedCapacity string
}

type transactGet struct {
	projecting
	TableName string
	Key       item
}

func (s *Service) transactGetItems(in *transactGetItemsInput) (*transactOutput, error) {
	if err := checkCapacity(in.ReturnConsumedCapacity); err != nil {
		return nil, err
	}
	if err := transactionLength(len(in.TransactItems)); err != nil {
		return nil, err
	}
	out := &transactOutput{}
	for n, t := range in.TransactItems {
		if t.Get == nil {
			return nil, unmet("null", "transactItems.member.get", "Member must not be null")
		}
		kept, err := t.Get.parse()
		if err != nil {
			return nil, err
		}
		table, found, err := s.read(t.Get.TableName, t.Get.Key)
		if table != nil && err != nil {
			reasons := make([]reason, len(in.TransactItems))
			reasons[n] = reasonFor(err)
			return nil, canceled(reasons)
		}
		if err != nil {
			return nil, err
		}
		out.Responses = append(out.Responses, itemOutput{Item: answered(found, kept)})
		if c := consumed(in.ReturnConsumedCapacity, t.Get.TableName, 2*readUnits(found.size(), true)); c != nil {
			out.ConsumedCapacity = append(out.ConsumedCapacity, c)
		}
	}
	return out, nil
}
