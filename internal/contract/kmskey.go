package contract

import (
	"fmt"
	"regexp"
	"sync"
)

// kmsKey is the ARN of a KMS key. An alias can be made to point to another key without anybody looking at the contract, and
// no grant or permission can name it.
// Source: https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html
var kmsKey = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^arn:aws[a-z-]*:kms:[a-z0-9-]+:([0-9]{12}):key/(mrk-)?[0-9a-f-]+$`)
})

var roleAccount = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^arn:aws[a-z-]*:iam::([0-9]{12}):role/`) })

// KeyRule says how kms_key is written.
const KeyRule = "give the ARN of the key, no alias: arn:aws:kms:<region>:<account>:key/<id>"

// keyProblems: Secrets Manager takes a key of another account, but only that account can say who uses it, so the contract's
// services have to be in the key's.
// Source: https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-modifying-external-accounts.html
func keyProblems(c Contract, services []Service) []Problem {
	m := kmsKey().FindStringSubmatch(c.KMSKey)
	if m == nil {
		return []Problem{{"/kms_key", "bad-key", fmt.Sprintf("%q is not the ARN of a KMS key", c.KMSKey), KeyRule}}
	}
	for _, name := range c.Services {
		for _, s := range services {
			if s.Name != name {
				continue
			}
			if r := roleAccount().FindStringSubmatch(s.Environments[c.Environment].Role); r != nil && r[1] != m[1] {
				return []Problem{{"/kms_key", "key-elsewhere", fmt.Sprintf("the key is in account %s, and service %s in %s", m[1], name, r[1]),
					"use a key of the services' account: what is granted on another account's key is decided there"}}
			}
		}
	}
	return nil
}
