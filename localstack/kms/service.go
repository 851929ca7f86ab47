// Package kms is KMS of the local stack: real encryption and real MACs under keys that live in memory.
//
// Operations: DescribeKey, Encrypt, Decrypt, GenerateDataKey, GenerateMac, VerifyMac, CreateGrant, ListGrants, RevokeGrant,
// RetireGrant.
// Resource types: AWS::KMS::Key (symmetric and HMAC), AWS::KMS::Alias.
// Left out: asymmetric keys, rotation of key material, deletion, grants to services and of CreateGrant. Key policies and
// grants are kept here and enforced by whoever decides about calls.
//
// Reference: https://docs.aws.amazon.com/kms/latest/APIReference/API_Operations.html
package kms

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"hash"
	"strings"
	"sync"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// Service is KMS.
type Service struct {
	stack.JSON
	// Principal says whether an IAM principal exists, by its ARN: no grant is made to one that does not. If nil, all do.
	Principal func(arn string) bool

	clock *stack.Clock

	mu      sync.Mutex
	keys    map[string]*key   // by id
	aliases map[string]string // alias name -> key id
	made    map[string]*key   // by logical id of the template
}

type key struct {
	id, arn, description, spec, usage, policy string
	enabled                                   bool
	created                                   time.Time
	material                                  []byte
	grants                                    []*Grant // in order of creation
}

// New makes a KMS without keys.
func New(clock *stack.Clock) *Service {
	s := &Service{clock: clock, keys: map[string]*key{}, aliases: map[string]string{}, made: map[string]*key{}}
	s.JSON = stack.JSON{Signing: "kms", Target: "TrentService", Version: "1.1", Ops: map[string]stack.Op{
		"DescribeKey":     stack.Handle(s.describeKey),
		"Encrypt":         stack.Handle(s.encrypt),
		"Decrypt":         stack.Handle(s.decrypt),
		"GenerateDataKey": stack.Handle(s.generateDataKey),
		"GenerateMac":     stack.Handle(s.generateMac),
		"VerifyMac":       stack.Handle(s.verifyMac),
		"CreateGrant":     stack.Handle(s.createGrant),
		"ListGrants":      stack.Handle(s.listGrants),
		"RevokeGrant":     stack.Handle(s.revokeGrant),
		"RetireGrant":     stack.Handle(s.retireGrant),
	}}
	return s
}

// find looks a key up by id, ARN, alias name or alias ARN.
func (s *Service) find(id string) (*key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	short := strings.TrimPrefix(id, "arn:aws:kms:"+stack.Region+":"+stack.Account+":")
	if target, ok := s.aliases[short]; ok {
		short = target
	}
	if k, ok := s.keys[strings.TrimPrefix(short, "key/")]; ok {
		return k, nil
	}
	return nil, &stack.Error{Code: "NotFoundException", Message: fmt.Sprintf("Key '%s' does not exist", id)}
}

// usable is find for an operation that uses the key's material.
func (s *Service) usable(id, usage string) (*key, error) {
	k, err := s.find(id)
	if err != nil {
		return nil, err
	}
	if !k.enabled {
		return nil, &stack.Error{Code: "DisabledException", Message: k.arn + " is disabled."}
	}
	if k.usage != usage {
		return nil, &stack.Error{Code: "InvalidKeyUsageException", Message: fmt.Sprintf("%s key usage is %s which is not valid for this operation.", k.arn, k.usage)}
	}
	return k, nil
}

type describeKeyInput struct{ KeyId string }

type describeKeyOutput struct{ KeyMetadata keyMetadata }

type keyMetadata struct {
	AWSAccountId string
	KeyId        string
	Arn          string
	CreationDate stack.Time
	Enabled      bool
	Description  string
	KeyUsage     string
	KeyState     string
	Origin       string
	KeyManager   string
	KeySpec      string
	MultiRegion  bool
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html
func (s *Service) describeKey(_ context.Context, _ *stack.Call, in *describeKeyInput) (*describeKeyOutput, error) {
	k, err := s.find(in.KeyId)
	if err != nil {
		return nil, err
	}
	state := "Enabled"
	if !k.enabled {
		state = "Disabled"
	}
	return &describeKeyOutput{keyMetadata{AWSAccountId: stack.Account, KeyId: k.id, Arn: k.arn, CreationDate: stack.Time{Time: k.created},
		Enabled: k.enabled, Description: k.description, KeyUsage: k.usage, KeyState: state, Origin: "AWS_KMS", KeyManager: "CUSTOMER", KeySpec: k.spec}}, nil
}

type encryptInput struct {
	KeyId               string
	Plaintext           []byte
	EncryptionContext   map[string]string
	EncryptionAlgorithm string // SYMMETRIC_DEFAULT is the only one that these keys have
}

type encryptOutput struct {
	CiphertextBlob      []byte
	KeyId               string
	EncryptionAlgorithm string
}

const symmetric = "SYMMETRIC_DEFAULT"

// https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html
func (s *Service) encrypt(_ context.Context, _ *stack.Call, in *encryptInput) (*encryptOutput, error) {
	k, err := s.usable(in.KeyId, "ENCRYPT_DECRYPT")
	if err != nil {
		return nil, err
	}
	if len(in.Plaintext) == 0 || len(in.Plaintext) > 4096 {
		return nil, &stack.Error{Code: "ValidationException", Message: "Plaintext must have 1 to 4096 bytes"}
	}
	blob, err := k.seal(in.Plaintext, in.EncryptionContext)
	return &encryptOutput{blob, k.arn, symmetric}, err
}

type decryptInput struct {
	KeyId               string
	CiphertextBlob      []byte
	EncryptionContext   map[string]string
	EncryptionAlgorithm string
}

type decryptOutput struct {
	Plaintext           []byte
	KeyId               string
	EncryptionAlgorithm string
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
func (s *Service) decrypt(_ context.Context, _ *stack.Call, in *decryptInput) (*decryptOutput, error) {
	invalid := &stack.Error{Code: "InvalidCiphertextException", Message: "The ciphertext is not valid for this key and encryption context"}
	if len(in.CiphertextBlob) < idLength {
		return nil, invalid
	}
	k, err := s.usable(string(in.CiphertextBlob[:idLength]), "ENCRYPT_DECRYPT")
	if err != nil {
		return nil, invalid
	}
	if in.KeyId != "" {
		named, err := s.find(in.KeyId)
		if err != nil {
			return nil, err
		}
		if named != k {
			return nil, &stack.Error{Code: "IncorrectKeyException", Message: "The key ID in the request does not identify a CMK that can perform this operation."}
		}
	}
	plain, err := k.open(in.CiphertextBlob, in.EncryptionContext)
	if err != nil {
		return nil, invalid
	}
	return &decryptOutput{plain, k.arn, symmetric}, nil
}

type generateDataKeyInput struct {
	KeyId             string
	KeySpec           string
	NumberOfBytes     int
	EncryptionContext map[string]string
}

type generateDataKeyOutput struct {
	CiphertextBlob []byte
	Plaintext      []byte
	KeyId          string
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html
func (s *Service) generateDataKey(_ context.Context, _ *stack.Call, in *generateDataKeyInput) (*generateDataKeyOutput, error) {
	k, err := s.usable(in.KeyId, "ENCRYPT_DECRYPT")
	if err != nil {
		return nil, err
	}
	n := map[string]int{"AES_256": 32, "AES_128": 16, "": in.NumberOfBytes}[in.KeySpec]
	if n < 1 || n > 1024 || (in.KeySpec != "" && in.NumberOfBytes != 0) {
		return nil, &stack.Error{Code: "ValidationException", Message: "Please specify either number of bytes (1 to 1024) or key spec (AES_128, AES_256)."}
	}
	plain := bytesOf(n)
	blob, err := k.seal(plain, in.EncryptionContext)
	return &generateDataKeyOutput{blob, plain, k.arn}, err
}

type macInput struct {
	KeyId        string
	Message      []byte
	MacAlgorithm string
	Mac          []byte // of VerifyMac
}

type generateMacOutput struct {
	Mac          []byte
	MacAlgorithm string
	KeyId        string
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateMac.html
func (s *Service) generateMac(_ context.Context, _ *stack.Call, in *macInput) (*generateMacOutput, error) {
	k, err := s.usable(in.KeyId, "GENERATE_VERIFY_MAC")
	if err != nil {
		return nil, err
	}
	mac, err := k.mac(in)
	return &generateMacOutput{mac, in.MacAlgorithm, k.arn}, err
}

type verifyMacOutput struct {
	MacValid     bool
	MacAlgorithm string
	KeyId        string
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_VerifyMac.html
func (s *Service) verifyMac(_ context.Context, _ *stack.Call, in *macInput) (*verifyMacOutput, error) {
	k, err := s.usable(in.KeyId, "GENERATE_VERIFY_MAC")
	if err != nil {
		return nil, err
	}
	mac, err := k.mac(in)
	if err != nil {
		return nil, err
	}
	if !hmac.Equal(mac, in.Mac) {
		return nil, &stack.Error{Code: "KMSInvalidMacException", Message: "The MAC is not valid for this message, key and algorithm."}
	}
	return &verifyMacOutput{true, in.MacAlgorithm, k.arn}, nil
}

func (k *key) mac(in *macInput) ([]byte, error) {
	size := map[string]func() hash.Hash{"256": sha256.New, "384": sha512.New384, "512": sha512.New}
	digits, ok := strings.CutPrefix(in.MacAlgorithm, "HMAC_SHA_")
	if !ok || k.spec != "HMAC_"+digits {
		return nil, &stack.Error{Code: "InvalidKeyUsageException", Message: fmt.Sprintf("Algorithm %s is incompatible with key spec %s.", in.MacAlgorithm, k.spec)}
	}
	if len(in.Message) == 0 || len(in.Message) > 4096 {
		return nil, &stack.Error{Code: "ValidationException", Message: "Message must have 1 to 4096 bytes"}
	}
	h := hmac.New(size[digits], k.material)
	h.Write(in.Message)
	return h.Sum(nil), nil
}

const idLength = 36 // a ciphertext begins with the id of its key

// seal encrypts with AES-256-GCM; the encryption context is authenticated and not stored.
func (k *key) seal(plain []byte, encryptionContext map[string]string) ([]byte, error) {
	aead, err := k.aead()
	if err != nil {
		return nil, err
	}
	nonce := bytesOf(aead.NonceSize())
	out := append([]byte(k.id), nonce...)
	return aead.Seal(out, nonce, plain, authenticated(encryptionContext)), nil
}

func (k *key) open(blob []byte, encryptionContext map[string]string) ([]byte, error) {
	aead, err := k.aead()
	if err != nil {
		return nil, err
	}
	rest := blob[idLength:]
	if len(rest) < aead.NonceSize() {
		return nil, fmt.Errorf("ciphertext of %d bytes is too short", len(blob))
	}
	return aead.Open(nil, rest[:aead.NonceSize()], rest[aead.NonceSize():], authenticated(encryptionContext))
}

func (k *key) aead() (cipher.AEAD, error) {
	block, err := aes.NewCipher(k.material)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// authenticated writes a context the same way whatever its order: encoding/json sorts a map's keys.
func authenticated(encryptionContext map[string]string) []byte {
	b, _ := json.Marshal(encryptionContext) // strings only: it always has a JSON form
	if len(encryptionContext) == 0 {
		return nil
	}
	return b
}

func bytesOf(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand.Read aborts the program instead
	return b
}
