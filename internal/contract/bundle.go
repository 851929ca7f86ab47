package contract

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"slices"
	"strings"

	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// Bundle is everything under contract at one commit. It is plain data; edit it freely before Compile.
type Bundle struct {
	Commit    string
	Contracts []Contract
	Services  []Service
	// Guardrails is the text of guardrails.cedar, which is no part of the compiled contracts; nil: there is no such file.
	Guardrails []byte
}

// compiled is the file contracts.json.
type compiled struct {
	Commit    string    `json:"commit"`
	Contracts []sealed  `json:"contracts"`
	Services  []Service `json:"services"`
}

type sealed struct {
	Contract
	Digest string `json:"digest"`
}

// Digest is the SHA-256, in 64 hex digits, of the contract's compiled JSON with defaults filled in: struct order, map keys
// sorted, durations in seconds. It does not depend on layout, comments or the way a duration was written.
func Digest(c Contract) string {
	data, err := json.Marshal(WithDefaults(c))
	if err != nil {
		panic("a contract is strings, numbers and lists of them, which always marshal: " + err.Error())
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Find gives the contract of a secret id.
func (b Bundle) Find(secret string) (Contract, bool) {
	i := slices.IndexFunc(b.Contracts, func(c Contract) bool { return c.ID() == secret })
	if i < 0 {
		return Contract{}, false
	}
	return b.Contracts[i], true
}

// Compile writes the bundle as the one JSON file that functions read: contracts with their digests, by id, and services,
// by name. The same contracts give the same bytes.
func (b Bundle) Compile() ([]byte, error) {
	file := compiled{Commit: b.Commit, Contracts: []sealed{}, Services: slices.Clone(b.Services)}
	for _, c := range b.Contracts {
		file.Contracts = append(file.Contracts, sealed{Contract: WithDefaults(c), Digest: Digest(c)})
	}
	slices.SortFunc(file.Contracts, func(x, y sealed) int { return strings.Compare(x.ID(), y.ID()) })
	slices.SortFunc(file.Services, func(x, y Service) int { return strings.Compare(x.Name, y.Name) })
	data, err := json.MarshalIndent(file, "", "  ")
	return append(data, '\n'), err
}

// Read reads a compiled file. It is refused (ContractInvalid) if it has unknown members, if a digest does not match, or if
// a contract does not validate: what comes into force is what was compiled, or nothing.
func Read(data []byte) (Bundle, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var file compiled
	if err := d.Decode(&file); err != nil {
		return Bundle{}, fault.Wrap(err, fault.ContractInvalid, "the compiled contracts do not parse; compile them again")
	}
	if _, err := d.Token(); err != io.EOF {
		return Bundle{}, fault.New(fault.ContractInvalid, "something follows the compiled contracts; compile them again")
	}
	b := Bundle{Commit: file.Commit, Services: file.Services}
	for _, s := range file.Contracts {
		if got := Digest(s.Contract); got != s.Digest {
			return Bundle{}, fault.New(fault.ContractInvalid,
				"contract %s was changed after it was compiled (digest %s, expected %s); compile the contracts again", s.ID(), got, s.Digest)
		}
		if problems := Validate(s.Contract, file.Services); len(problems) > 0 {
			return Bundle{}, fault.New(fault.ContractInvalid, "contract %s: %s; %s", s.ID(), problems[0].Message, problems[0].Do)
		}
		b.Contracts = append(b.Contracts, s.Contract)
	}
	if clashes := Clashes(b.Contracts); len(clashes) > 0 {
		return Bundle{}, fault.New(fault.ContractInvalid, "contracts contradict each other: %s", clashes[0].Message)
	}
	return b, nil
}
