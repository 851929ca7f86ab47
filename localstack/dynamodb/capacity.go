package dynamodb

// capacity is what an operation answers to ReturnConsumedCapacity. Indexes are read at their own size; what writes
// cost in indexes is not counted.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
type capacity struct {
	TableName     string
	CapacityUnits float64
	Table         *capUnits `json:",omitempty"`
}

type capUnits struct{ CapacityUnits float64 }

func checkCapacity(mode string) error {
	return oneOf(mode, "returnConsumedCapacity", "INDEXES", "TOTAL", "NONE")
}

func consumed(mode, table string, units float64) *capacity {
	if mode == "" || mode == "NONE" {
		return nil
	}
	c := &capacity{TableName: table, CapacityUnits: units}
	if mode == "INDEXES" {
		c.Table = &capUnits{units}
	}
	return c
}

// readUnits of a size in bytes: one per 4 KB, half of that for an eventually consistent read, at least one block.
func readUnits(size int, consistent bool) float64 {
	units := float64(max(1, (size+4095)/4096))
	if !consistent {
		units /= 2
	}
	return units
}

// writeUnits of an item: one per KB, at least one.
func writeUnits(before, after item) float64 {
	return float64(max(1, (max(before.size(), after.size())+1023)/1024))
}
