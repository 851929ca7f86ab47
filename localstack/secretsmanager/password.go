package secretsmanager

import (
	"context"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

type passwordInput struct {
	ExcludeCharacters       string
	ExcludeLowercase        bool
	ExcludeNumbers          bool
	ExcludePunctuation      bool
	ExcludeUppercase        bool
	IncludeSpace            bool
	PasswordLength          int
	RequireEachIncludedType *bool
}

type passwordOutput struct{ RandomPassword string }

func (s *Service) getRandomPassword(_ context.Context, _ *stack.Call, in *passwordInput) (*passwordOutput, error) {
	password, err := in.generate()
	return &passwordOutput{password}, err
}

// generate makes a password of the types that are not excluded.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetRandomPassword.html
func (in *passwordInput) generate() (string, error) {
	length := in.PasswordLength
	if length == 0 {
		length = 32
	}
	if length < 1 || length > 4096 {
		return "", invalidParameter("PasswordLength must be between 1 and 4096.")
	}
	var types []string
	include := func(excluded bool, alphabet string) {
		alphabet = strings.Map(func(r rune) rune {
			if strings.ContainsRune(in.ExcludeCharacters, r) {
				return -1
			}
			return r
		}, alphabet)
		if !excluded && alphabet != "" {
			types = append(types, alphabet)
		}
	}
	include(in.ExcludeLowercase, letters)
	include(in.ExcludeUppercase, strings.ToUpper(letters))
	include(in.ExcludeNumbers, "0123456789")
	include(in.ExcludePunctuation, "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
	include(!in.IncludeSpace, " ")
	if len(types) == 0 {
		return "", invalidParameter("The password would have no characters: every type is excluded.")
	}
	each := in.RequireEachIncludedType == nil || *in.RequireEachIncludedType
	if each && length < len(types) {
		return "", invalidParameter("PasswordLength %d is too short for one character of each of the %d included types.", length, len(types))
	}
	var out []byte
	if each {
		for _, alphabet := range types {
			out = append(out, pick(alphabet, 1)...)
		}
	}
	out = append(out, pick(strings.Join(types, ""), length-len(out))...)
	for i := len(out) - 1; i > 0; i-- { // shuffle, so that the required ones do not stand first
		j := below(i + 1)
		out[i], out[j] = out[j], out[i]
	}
	return string(out), nil
}
