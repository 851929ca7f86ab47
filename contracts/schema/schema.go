// Package schema holds the JSON Schemas of the files in contracts, for editors and for mayfly lint alike.
package schema

import _ "embed" // the schemas are part of the binary

// Contract is the JSON Schema of a contract.
//
//go:embed contract.schema.json
var Contract []byte

// Service is the JSON Schema of a service.
//
//go:embed service.schema.json
var Service []byte
