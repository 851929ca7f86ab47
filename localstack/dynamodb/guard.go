package dynamodb

// PartitionKey returns the name of the attribute that is the partition key of a table or, if one is named, of its index;
// "" if there is none. The table is given by name or ARN.
func (s *Service) PartitionKey(tableName, indexName string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.table(tableName)
	if err != nil {
		return ""
	}
	x, err := t.index(indexName)
	if err != nil {
		return ""
	}
	return x.key[0].name
}
