package dynamodb

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A table under random puts and deletions, against a plain list of what should be in it: a query gives exactly the
// items in its range in the order of their sort keys, through the table and through an index.
func TestQueryOrderIsSortKeyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := newPropertyTable(t)
		model := map[string]item{}
		partitions := rapid.SampledFrom([]string{"a", "b", "c"})
		sorts := rapid.SampledFrom([]string{"-2", "-1.5", "0", "1", "1.5", "2", "10", "1e2"})
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				i := item{"p": text(partitions.Draw(t, "p")), "s": decimal(t, sorts.Draw(t, "s"))}
				if rapid.Bool().Draw(t, "indexed") {
					i["g"], i["h"] = text(partitions.Draw(t, "g")), decimal(t, sorts.Draw(t, "h"))
				}
				table.replace(table.get(i), i)
				model[table.key().canonical(i)] = i
			},
			"delete": func(t *rapid.T) {
				k := item{"p": text(partitions.Draw(t, "p")), "s": decimal(t, sorts.Draw(t, "s"))}
				table.replace(table.get(k), nil)
				delete(model, table.key().canonical(k))
			},
			"query": func(t *rapid.T) {
				x := rapid.SampledFrom([]*index{table.main, table.secondary[0]}).Draw(t, "index")
				r := sortRange{
					operator: rapid.SampledFrom([]string{"", "=", "<", "<=", ">", ">=", "BETWEEN"}).Draw(t, "operator"),
					low:      decimal(t, sorts.Draw(t, "low")), high: decimal(t, sorts.Draw(t, "high")),
				}
				checkQuery(t, x, text(partitions.Draw(t, "partition")), r, model)
			},
			"": func(t *rapid.T) {
				if len(table.main.entries) != len(model) {
					t.Fatalf("%d items, want %d", len(table.main.entries), len(model))
				}
				for _, x := range append(table.secondary, table.main) {
					if !slices.IsSortedFunc(x.entries, (*entry).compare) {
						t.Fatalf("index %q is out of order", x.name)
					}
				}
			},
		})
	})
}

func checkQuery(t *rapid.T, x *index, partition value, r sortRange, model map[string]item) {
	var want []item
	partitionName, sortName := x.key[0].name, x.key[1].name
	low := literal{r.low}
	holds := map[string]condition{"BETWEEN": between{attribute{path{{name: sortName}}}, low, literal{r.high}}, "": exists{path{{name: sortName}}}}[r.operator]
	if holds == nil {
		holds = comparison{r.operator, attribute{path{{name: sortName}}}, low}
	}
	for _, i := range model {
		if x.key.in(i) && equal(i[partitionName], partition) && holds.holds(i) {
			want = append(want, i)
		}
	}
	got := x.within(partition, r)
	if len(got) != len(want) {
		t.Fatalf("%d items where %d fit", len(got), len(want))
	}
	for n, e := range got {
		if !slices.ContainsFunc(want, func(i item) bool { return equal(value{fields: i}, value{fields: e.item}) }) {
			t.Fatalf("%v does not belong to the answer", e.item)
		}
		if n > 0 && compareScalars(got[n-1].sort, e.sort) > 0 {
			t.Fatalf("%v comes before %v", got[n-1].sort.number, e.sort.number)
		}
	}
}

func newPropertyTable(t *rapid.T) *table {
	s := schema{
		TableName: "property", BillingMode: "PAY_PER_REQUEST",
		KeySchema:            []keyElement{{"p", "HASH"}, {"s", "RANGE"}},
		AttributeDefinitions: []attributeDefinition{{"p", "S"}, {"s", "N"}, {"g", "S"}, {"h", "N"}},
		GlobalSecondaryIndexes: []indexDefinition{
			{IndexName: "g", KeySchema: []keyElement{{"g", "HASH"}, {"h", "RANGE"}}, Projection: projection{ProjectionType: "ALL"}},
		},
	}
	made, err := newTable(s, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func text(s string) value { return value{kind: kindString, text: s} }

func decimal(t *rapid.T, s string) value {
	n, err := parseNumber(s)
	if err != nil {
		t.Fatal(strconv.Quote(s), err)
	}
	return value{kind: kindNumber, number: n}
}
