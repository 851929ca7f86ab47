package audit

// The chain of records that concern no single secret: events that affect nothing, requests for secrets without a contract,
// evaluations. One for all of them, so that made-up names cannot fill the bucket with chains.
const (
	NoSecret      = "events"
	NoEnvironment = "account"
)
