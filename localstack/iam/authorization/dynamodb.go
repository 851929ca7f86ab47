package authorization

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/iam/policy"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// attributes are an item or a key: name to value, the value as {"S": "…"}.
type attributes map[string]map[string]json.RawMessage

// tableWrite is one write of a transaction or batch, or a whole request on one item.
type tableWrite struct {
	TableName string
	Key, Item attributes
}

type tableRequest struct {
	tableWrite
	IndexName                 string
	KeyConditionExpression    string
	ExpressionAttributeNames  map[string]string
	ExpressionAttributeValues attributes
	RequestItems              map[string]json.RawMessage
	TransactItems             []struct{ Get, Put, Update, Delete, ConditionCheck *tableWrite }
}

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html
func (a *Authorizer) dynamodb(call *stack.Call) ([]need, error) {
	var r tableRequest
	if err := read(call, &r); err != nil {
		return nil, err
	}
	action := "dynamodb:" + call.Operation
	switch call.Operation {
	case "ListTables":
		return []need{{action: action, resource: "*"}}, nil
	case "GetItem", "PutItem", "UpdateItem", "DeleteItem":
		return []need{a.items(action, r.TableName, r.tableWrite)}, nil
	case "Query", "Scan":
		return []need{a.query(action, &r)}, nil
	case "BatchGetItem", "BatchWriteItem":
		return a.batch(call, &r)
	case "TransactGetItems", "TransactWriteItems":
		return a.transaction(call.Operation, &r)
	case "CreateTable", "DeleteTable", "DescribeTable", "DescribeTimeToLive", "UpdateTimeToLive", "DescribeContinuousBackups":
		return []need{{action: action, resource: tableARN(r.TableName)}}, nil
	}
	return nil, errUnknown
}

func tableARN(nameOrARN string) string {
	if strings.HasPrefix(nameOrARN, "arn:") {
		return nameOrARN
	}
	return arn("dynamodb", "table/"+nameOrARN)
}

// items is a need on items of one table; their partition keys are dynamodb:LeadingKeys.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
func (a *Authorizer) items(action, table string, writes ...tableWrite) need {
	n := need{action: action, resource: tableARN(table), keys: policy.Context{}}
	if a.resources.PartitionKey == nil {
		return n
	}
	partition := a.resources.PartitionKey(table, "")
	var leading []string
	for _, w := range writes {
		for _, from := range []attributes{w.Key, w.Item} {
			if v, ok := from[partition]; ok {
				leading = append(leading, text(v))
			}
		}
	}
	n.keys.Set("dynamodb:LeadingKeys", leading...)
	return n
}

// text is the text of an attribute value, whatever its type.
func text(value map[string]json.RawMessage) string {
	for _, raw := range value {
		var s string
		if json.Unmarshal(raw, &s) == nil {
			return s
		}
	}
	return ""
}

// equality finds "name = :value" and ":value = name".
var equality = regexp.MustCompile(`([#:]?\w+)\s*=\s*([#:]?\w+)`)

// query is a need on a table or an index. The partition of a Query stands in its key condition.
func (a *Authorizer) query(action string, r *tableRequest) need {
	n := need{action: action, resource: tableARN(r.TableName), keys: policy.Context{}}
	if r.IndexName != "" {
		n.resource += "/index/" + r.IndexName
	}
	if a.resources.PartitionKey == nil {
		return n
	}
	partition := a.resources.PartitionKey(r.TableName, r.IndexName)
	for _, m := range equality.FindAllStringSubmatch(r.KeyConditionExpression, -1) {
		name, value := m[1], m[2]
		if strings.HasPrefix(name, ":") {
			name, value = value, name
		}
		if alias, ok := r.ExpressionAttributeNames[name]; ok {
			name = alias
		}
		if name == partition {
			n.keys.Set("dynamodb:LeadingKeys", text(r.ExpressionAttributeValues[value]))
		}
	}
	return n
}

// batch needs the batch's own action on each table.
func (a *Authorizer) batch(call *stack.Call, r *tableRequest) ([]need, error) {
	var needs []need
	for _, table := range slices.Sorted(maps.Keys(r.RequestItems)) {
		var writes []tableWrite
		var err error
		if call.Operation == "BatchGetItem" {
			var get struct{ Keys []attributes }
			err = json.Unmarshal(r.RequestItems[table], &get)
			for _, key := range get.Keys {
				writes = append(writes, tableWrite{Key: key})
			}
		} else {
			var put []struct{ PutRequest, DeleteRequest tableWrite }
			err = json.Unmarshal(r.RequestItems[table], &put)
			for _, p := range put {
				writes = append(writes, p.PutRequest, p.DeleteRequest)
			}
		}
		if err != nil {
			return nil, &stack.Error{Code: "SerializationException", Message: fmt.Sprintf("%s of table %s: %v", call.Operation, table, err)}
		}
		needs = append(needs, a.items("dynamodb:"+call.Operation, table, writes...))
	}
	return needs, nil
}

// transaction needs the actions of its items; the transaction itself is no action.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
func (a *Authorizer) transaction(operation string, r *tableRequest) ([]need, error) {
	var needs []need
	for _, item := range r.TransactItems {
		for action, w := range map[string]*tableWrite{"GetItem": item.Get, "PutItem": item.Put, "UpdateItem": item.Update,
			"DeleteItem": item.Delete, "ConditionCheckItem": item.ConditionCheck} {
			if w == nil {
				continue
			}
			n := a.items("dynamodb:"+action, w.TableName, *w)
			n.keys.Set("dynamodb:EnclosingOperation", operation)
			needs = append(needs, n)
		}
	}
	if len(needs) == 0 {
		return nil, errUnknown // the service will refuse it too
	}
	return needs, nil
}
