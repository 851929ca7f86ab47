package dynamo

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// FuzzItems reads items whose attributes are of any type: a table can be restored, or written to by hand.
func FuzzItems(f *testing.F) {
	f.Add([]byte(`{"secret":"prod/orders-db","contract":"{\"name\":\"orders-db\"}","fence":7,"head":{"seq":3,"hash":"x","date":"2026-03-01"},"lease":{"run":"r","until":9},"rotated":{"version":"v","at":1,"expires":2}}`))
	f.Add([]byte(`{"contract":7,"fence":"x","head":[],"lease":{"until":"x"},"trigger":{"type":true},"trigger_ids":["a"],"due_at":-1e99}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var members map[string]any
		if json.Unmarshal(text, &members) != nil {
			return
		}
		item := map[string]types.AttributeValue{}
		for name, member := range members {
			item[name] = attribute(member)
		}
		entry, err := parse(item)
		if err == nil && entry.Contract.Name != "" && str(item["contract"]) == "" {
			t.Errorf("a contract out of nothing: %+v", entry)
		}
		standing(entry, item)
		foundIn(item)
		version(item)
		parseRun(item)
	})
}

// attribute is a JSON value in DynamoDB's types.
func attribute(value any) types.AttributeValue {
	switch v := value.(type) {
	case string:
		return &types.AttributeValueMemberS{Value: v}
	case bool:
		return &types.AttributeValueMemberBOOL{Value: v}
	case float64:
		text, _ := json.Marshal(v) // a number that was parsed
		return &types.AttributeValueMemberN{Value: string(text)}
	case map[string]any:
		m := &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{}}
		for name, member := range v {
			m.Value[name] = attribute(member)
		}
		return m
	case []any:
		var texts []string
		for _, one := range v {
			if text, ok := one.(string); ok {
				texts = append(texts, text)
			}
		}
		return &types.AttributeValueMemberSS{Value: texts}
	}
	return &types.AttributeValueMemberNULL{Value: true}
}
