package policy_test

import (
	"maps"
	"testing"
)

// when is an Allow of everything under a condition.
func when(condition string) string {
	return `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{` + condition + `}}`
}

// unless is the same, with a Deny under the condition.
func unless(condition string) string {
	return mayAll + `,{"Effect":"Deny","Action":"*","Resource":"*","Condition":{` + condition + `}}`
}

// ask is one question to a condition: its operator and key and values, the value in the request ("-": the key is absent),
// and whether it holds.
type ask struct {
	condition string
	key       string
	value     string
	holds     bool
}

// TestOperators asks every condition twice: an Allow under it must allow exactly if it holds, a Deny must deny exactly then.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
func TestOperators(t *testing.T) {
	scenes := map[string]scene{}
	for name, a := range map[string]ask{
		"StringEquals":                             {`"StringEquals":{"s3:prefix":"a"}`, "s3:prefix", "a", true},
		"StringEquals, other":                      {`"StringEquals":{"s3:prefix":"a"}`, "s3:prefix", "b", false},
		"StringEquals, other case":                 {`"StringEquals":{"s3:prefix":"a"}`, "s3:prefix", "A", false},
		"StringEquals, one of":                     {`"StringEquals":{"s3:prefix":["a","b"]}`, "s3:prefix", "b", true},
		"StringEquals, none of":                    {`"StringEquals":{"s3:prefix":["a","b"]}`, "s3:prefix", "c", false},
		"StringEquals, star is a star":             {`"StringEquals":{"s3:prefix":"a*"}`, "s3:prefix", "ab", false},
		"StringEquals, empty":                      {`"StringEquals":{"s3:prefix":""}`, "s3:prefix", "", true},
		"StringEquals, absent":                     {`"StringEquals":{"s3:prefix":"a"}`, "s3:prefix", "-", false},
		"StringEquals, absent is not empty":        {`"StringEquals":{"s3:prefix":""}`, "s3:prefix", "-", false},
		"StringEquals, key in other case":          {`"StringEquals":{"S3:Prefix":"a"}`, "s3:prefix", "a", true},
		"StringEquals, a tag's key in other case":  {`"StringEquals":{"aws:ResourceTag/Owner":"a"}`, "aws:resourcetag/owner", "a", true},
		"StringNotEquals":                          {`"StringNotEquals":{"s3:prefix":"a"}`, "s3:prefix", "b", true},
		"StringNotEquals, same":                    {`"StringNotEquals":{"s3:prefix":"a"}`, "s3:prefix", "a", false},
		"StringNotEquals, none of":                 {`"StringNotEquals":{"s3:prefix":["a","b"]}`, "s3:prefix", "c", true},
		"StringNotEquals, one of":                  {`"StringNotEquals":{"s3:prefix":["a","b"]}`, "s3:prefix", "b", false},
		"StringNotEquals, absent":                  {`"StringNotEquals":{"s3:prefix":"a"}`, "s3:prefix", "-", true},
		"StringEqualsIgnoreCase":                   {`"StringEqualsIgnoreCase":{"s3:prefix":"aB"}`, "s3:prefix", "Ab", true},
		"StringEqualsIgnoreCase, other":            {`"StringEqualsIgnoreCase":{"s3:prefix":"a"}`, "s3:prefix", "b", false},
		"StringNotEqualsIgnoreCase":                {`"StringNotEqualsIgnoreCase":{"s3:prefix":"a"}`, "s3:prefix", "B", true},
		"StringNotEqualsIgnoreCase, same":          {`"StringNotEqualsIgnoreCase":{"s3:prefix":"a"}`, "s3:prefix", "A", false},
		"StringLike":                               {`"StringLike":{"s3:prefix":"home/*/x"}`, "s3:prefix", "home/carlos/x", true},
		"StringLike, star is nothing too":          {`"StringLike":{"s3:prefix":"home*"}`, "s3:prefix", "home", true},
		"StringLike, question mark":                {`"StringLike":{"s3:prefix":"hom?"}`, "s3:prefix", "home", true},
		"StringLike, question mark is not nothing": {`"StringLike":{"s3:prefix":"home?"}`, "s3:prefix", "home", false},
		"StringLike, question mark is a character": {`"StringLike":{"s3:prefix":"?"}`, "s3:prefix", "ü", true},
		"StringLike, case":                         {`"StringLike":{"s3:prefix":"Home*"}`, "s3:prefix", "home", false},
		"StringLike, absent is like nothing":       {`"StringLike":{"s3:prefix":"*"}`, "s3:prefix", "-", false},
		"StringNotLike":                            {`"StringNotLike":{"s3:prefix":"home*"}`, "s3:prefix", "etc", true},
		"StringNotLike, like":                      {`"StringNotLike":{"s3:prefix":"home*"}`, "s3:prefix", "home/x", false},
		"StringNotLike, absent":                    {`"StringNotLike":{"s3:prefix":"*"}`, "s3:prefix", "-", true},

		"ArnEquals":                      {`"ArnEquals":{"aws:SourceArn":"arn:aws:sns:us-east-1:111122223333:t"}`, "aws:SourceArn", "arn:aws:sns:us-east-1:111122223333:t", true},
		"ArnEquals takes wildcards":      {`"ArnEquals":{"aws:SourceArn":"arn:aws:sns:*:111122223333:*"}`, "aws:SourceArn", "arn:aws:sns:us-east-1:111122223333:t", true},
		"ArnLike":                        {`"ArnLike":{"aws:SourceArn":"arn:aws:events:*:*:rule/mayfly-*"}`, "aws:SourceArn", "arn:aws:events:us-east-1:111122223333:rule/mayfly-x", true},
		"ArnLike, other":                 {`"ArnLike":{"aws:SourceArn":"arn:aws:events:*:*:rule/mayfly-*"}`, "aws:SourceArn", "arn:aws:events:us-east-1:111122223333:rule/x", false},
		"ArnLike, star ends at a colon":  {`"ArnLike":{"aws:SourceArn":"arn:aws:*:111122223333:t:*"}`, "aws:SourceArn", "arn:aws:sns:us-east-1:111122223333:t", false},
		"ArnLike, last field has colons": {`"ArnLike":{"aws:SourceArn":"arn:aws:states:*:*:execution:*"}`, "aws:SourceArn", "arn:aws:states:us-east-1:111122223333:execution:m:x", true},
		"ArnLike, any":                   {`"ArnLike":{"aws:SourceArn":"*"}`, "aws:SourceArn", "arn:aws:sns:us-east-1:111122223333:t", true},
		"ArnLike, not an ARN":            {`"ArnLike":{"aws:SourceArn":"arn:*:*:*:*:*"}`, "aws:SourceArn", "t", false},
		"ArnLike, absent":                {`"ArnLike":{"aws:SourceArn":"arn:*:*:*:*:*"}`, "aws:SourceArn", "-", false},
		"ArnNotEquals":                   {`"ArnNotEquals":{"aws:SourceArn":"arn:aws:sns:us-east-1:111122223333:t"}`, "aws:SourceArn", "arn:aws:sns:us-east-1:111122223333:u", true},
		"ArnNotEquals, same":             {`"ArnNotEquals":{"aws:SourceArn":"arn:aws:sns:us-east-1:111122223333:t"}`, "aws:SourceArn", "arn:aws:sns:us-east-1:111122223333:t", false},
		"ArnNotLike, like":               {`"ArnNotLike":{"aws:SourceArn":"arn:aws:sns:*:*:*"}`, "aws:SourceArn", "arn:aws:sns:us-east-1:111122223333:t", false},
		"ArnNotLike, absent":             {`"ArnNotLike":{"aws:SourceArn":"arn:aws:sns:*:*:*"}`, "aws:SourceArn", "-", true},

		"Bool":                    {`"Bool":{"aws:SecureTransport":"true"}`, "aws:SecureTransport", "true", true},
		"Bool, a JSON boolean":    {`"Bool":{"aws:SecureTransport":true}`, "aws:SecureTransport", "true", true},
		"Bool, false":             {`"Bool":{"aws:SecureTransport":"false"}`, "aws:SecureTransport", "true", false},
		"Bool, both false":        {`"Bool":{"aws:SecureTransport":"false"}`, "aws:SecureTransport", "false", true},
		"Bool, case":              {`"Bool":{"aws:SecureTransport":"True"}`, "aws:SecureTransport", "true", true},
		"Bool, absent":            {`"Bool":{"aws:SecureTransport":"false"}`, "aws:SecureTransport", "-", false},
		"BoolIfExists, absent":    {`"BoolIfExists":{"aws:SecureTransport":"true"}`, "aws:SecureTransport", "-", true},
		"BoolIfExists, different": {`"BoolIfExists":{"aws:SecureTransport":"true"}`, "aws:SecureTransport", "false", false},

		"NumericEquals":                {`"NumericEquals":{"s3:max-keys":"10"}`, "s3:max-keys", "10", true},
		"NumericEquals, a JSON number": {`"NumericEquals":{"s3:max-keys":10}`, "s3:max-keys", "10.0", true},
		"NumericNotEquals":             {`"NumericNotEquals":{"s3:max-keys":"10"}`, "s3:max-keys", "11", true},
		"NumericNotEquals, same":       {`"NumericNotEquals":{"s3:max-keys":"10"}`, "s3:max-keys", "10", false},
		"NumericNotEquals, absent":     {`"NumericNotEquals":{"s3:max-keys":"10"}`, "s3:max-keys", "-", true},
		"NumericLessThan":              {`"NumericLessThan":{"s3:TlsVersion":1.2}`, "s3:TlsVersion", "1.1", true},
		"NumericLessThan, equal":       {`"NumericLessThan":{"s3:TlsVersion":1.2}`, "s3:TlsVersion", "1.2", false},
		"NumericLessThan, absent":      {`"NumericLessThan":{"s3:TlsVersion":1.2}`, "s3:TlsVersion", "-", false},
		"NumericLessThan, by value":    {`"NumericLessThan":{"s3:max-keys":"9"}`, "s3:max-keys", "10", false},
		"NumericLessThanEquals":        {`"NumericLessThanEquals":{"s3:max-keys":"10"}`, "s3:max-keys", "10", true},
		"NumericGreaterThan":           {`"NumericGreaterThan":{"s3:max-keys":"10"}`, "s3:max-keys", "11", true},
		"NumericGreaterThan, equal":    {`"NumericGreaterThan":{"s3:max-keys":"10"}`, "s3:max-keys", "10", false},
		"NumericGreaterThanEquals":     {`"NumericGreaterThanEquals":{"s3:max-keys":"10"}`, "s3:max-keys", "10", true},
		"Numeric, not a number":        {`"NumericEquals":{"s3:max-keys":"10"}`, "s3:max-keys", "ten", false},

		"DateEquals":                   {`"DateEquals":{"aws:CurrentTime":"2026-01-01T00:00:00Z"}`, "aws:CurrentTime", "2026-01-01T00:00:00Z", true},
		"DateEquals, other zone":       {`"DateEquals":{"aws:CurrentTime":"2026-01-01T01:00:00+01:00"}`, "aws:CurrentTime", "2026-01-01T00:00:00Z", true},
		"DateNotEquals":                {`"DateNotEquals":{"aws:CurrentTime":"2026-01-01T00:00:00Z"}`, "aws:CurrentTime", "2026-01-01T00:00:01Z", true},
		"DateGreaterThan":              {`"DateGreaterThan":{"aws:CurrentTime":"2026-01-01T00:00:00Z"}`, "aws:CurrentTime", "2026-01-01T00:00:01Z", true},
		"DateGreaterThan, equal":       {`"DateGreaterThan":{"aws:CurrentTime":"2026-01-01T00:00:00Z"}`, "aws:CurrentTime", "2026-01-01T00:00:00Z", false},
		"DateGreaterThan, before":      {`"DateGreaterThan":{"aws:CurrentTime":"2026-01-01T00:00:00Z"}`, "aws:CurrentTime", "2025-12-31T23:59:59Z", false},
		"DateGreaterThanEquals":        {`"DateGreaterThanEquals":{"aws:CurrentTime":"2026-01-01T00:00:00Z"}`, "aws:CurrentTime", "2026-01-01T00:00:00Z", true},
		"DateLessThan":                 {`"DateLessThan":{"aws:CurrentTime":"2026-01-01T00:00:00Z"}`, "aws:CurrentTime", "2025-12-31T23:59:59Z", true},
		"DateLessThanEquals, fraction": {`"DateLessThanEquals":{"aws:CurrentTime":"2026-01-01T00:00:00.5Z"}`, "aws:CurrentTime", "2026-01-01T00:00:00.6Z", false},
		"Date, seconds since 1970":     {`"DateGreaterThan":{"aws:EpochTime":"1767225600"}`, "aws:EpochTime", "1767225601", true},
		"Date, both forms":             {`"DateEquals":{"aws:EpochTime":"2026-01-01T00:00:00Z"}`, "aws:EpochTime", "1767225600", true},
		"Date, a day":                  {`"DateGreaterThanEquals":{"aws:CurrentTime":"2026-01-01"}`, "aws:CurrentTime", "2026-01-01T00:00:00Z", true},
		"Date, a year":                 {`"DateLessThan":{"aws:CurrentTime":"2026"}`, "aws:CurrentTime", "2025-12-31T00:00:00Z", true},
		"Date, minutes":                {`"DateLessThan":{"aws:CurrentTime":"2026-01-01T00:01Z"}`, "aws:CurrentTime", "2026-01-01T00:00:59Z", true},
		"Date, absent":                 {`"DateGreaterThan":{"aws:CurrentTime":"2026-01-01T00:00:00Z"}`, "aws:CurrentTime", "-", false},

		"IpAddress":            {`"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}`, "aws:SourceIp", "203.0.113.7", true},
		"IpAddress, outside":   {`"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}`, "aws:SourceIp", "203.0.114.7", false},
		"IpAddress, alone":     {`"IpAddress":{"aws:SourceIp":"203.0.113.7"}`, "aws:SourceIp", "203.0.113.7", true},
		"IpAddress, one of":    {`"IpAddress":{"aws:SourceIp":["10.0.0.0/8","203.0.113.0/24"]}`, "aws:SourceIp", "203.0.113.7", true},
		"IpAddress, 6":         {`"IpAddress":{"aws:SourceIp":"2001:db8::/32"}`, "aws:SourceIp", "2001:db8::1", true},
		"IpAddress, 4 in 6":    {`"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}`, "aws:SourceIp", "::ffff:203.0.113.7", true},
		"IpAddress, absent":    {`"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}`, "aws:SourceIp", "-", false},
		"NotIpAddress":         {`"NotIpAddress":{"aws:SourceIp":"203.0.113.0/24"}`, "aws:SourceIp", "203.0.114.7", true},
		"NotIpAddress, inside": {`"NotIpAddress":{"aws:SourceIp":"203.0.113.0/24"}`, "aws:SourceIp", "203.0.113.7", false},
		"NotIpAddress, absent": {`"NotIpAddress":{"aws:SourceIp":"203.0.113.0/24"}`, "aws:SourceIp", "-", true},

		"Null, absent":        {`"Null":{"aws:TagKeys":"true"}`, "aws:TagKeys", "-", true},
		"Null, present":       {`"Null":{"aws:TagKeys":"true"}`, "aws:TagKeys", "a", false},
		"Null false, present": {`"Null":{"aws:TagKeys":"false"}`, "aws:TagKeys", "a", true},
		"Null false, absent":  {`"Null":{"aws:TagKeys":false}`, "aws:TagKeys", "-", false},

		"StringEqualsIfExists, absent":    {`"StringEqualsIfExists":{"s3:prefix":"a"}`, "s3:prefix", "-", true},
		"StringEqualsIfExists, same":      {`"StringEqualsIfExists":{"s3:prefix":"a"}`, "s3:prefix", "a", true},
		"StringEqualsIfExists, other":     {`"StringEqualsIfExists":{"s3:prefix":"a"}`, "s3:prefix", "b", false},
		"StringNotEqualsIfExists, absent": {`"StringNotEqualsIfExists":{"s3:prefix":"a"}`, "s3:prefix", "-", true},
		"DateLessThanIfExists, absent":    {`"DateLessThanIfExists":{"aws:CurrentTime":"2026-01-01"}`, "aws:CurrentTime", "-", true},
		"ArnLikeIfExists, other":          {`"ArnLikeIfExists":{"aws:SourceArn":"arn:aws:sns:*:*:*"}`, "aws:SourceArn", "arn:aws:sqs:us-east-1:111122223333:q", false},
		"NumericLessThanIfExists, absent": {`"NumericLessThanIfExists":{"s3:max-keys":"10"}`, "s3:max-keys", "-", true},
		"IpAddressIfExists, absent":       {`"IpAddressIfExists":{"aws:SourceIp":"10.0.0.0/8"}`, "aws:SourceIp", "-", true},

		"ForAnyValue, one matches":             {`"ForAnyValue:StringEquals":{"aws:TagKeys":["a","b"]}`, "aws:TagKeys", "b|c", true},
		"ForAnyValue, none matches":            {`"ForAnyValue:StringEquals":{"aws:TagKeys":["a","b"]}`, "aws:TagKeys", "c|d", false},
		"ForAnyValue, absent":                  {`"ForAnyValue:StringEquals":{"aws:TagKeys":"a"}`, "aws:TagKeys", "-", false},
		"ForAnyValue negated, one differs":     {`"ForAnyValue:StringNotEquals":{"aws:TagKeys":"a"}`, "aws:TagKeys", "a|b", true},
		"ForAnyValue negated, none differs":    {`"ForAnyValue:StringNotEquals":{"aws:TagKeys":["a","b"]}`, "aws:TagKeys", "a|b", false},
		"ForAnyValue negated, absent":          {`"ForAnyValue:StringNotEquals":{"aws:TagKeys":"a"}`, "aws:TagKeys", "-", false},
		"ForAnyValue IfExists, absent":         {`"ForAnyValue:StringEqualsIfExists":{"aws:TagKeys":"a"}`, "aws:TagKeys", "-", true},
		"ForAnyValue like":                     {`"ForAnyValue:StringLike":{"aws:TagKeys":"mayfly:*"}`, "aws:TagKeys", "x|mayfly:ttl", true},
		"ForAllValues, all match":              {`"ForAllValues:StringEquals":{"aws:TagKeys":["a","b","c"]}`, "aws:TagKeys", "a|b", true},
		"ForAllValues, one does not":           {`"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}`, "aws:TagKeys", "a|c", false},
		"ForAllValues, absent":                 {`"ForAllValues:StringEquals":{"aws:TagKeys":"a"}`, "aws:TagKeys", "-", true},
		"ForAllValues, empty counts as absent": {`"ForAllValues:StringEquals":{"aws:TagKeys":"a"}`, "aws:TagKeys", "", true},
		"ForAllValues negated, all differ":     {`"ForAllValues:StringNotEquals":{"aws:TagKeys":"a"}`, "aws:TagKeys", "b|c", true},
		"ForAllValues negated, one is":         {`"ForAllValues:StringNotEquals":{"aws:TagKeys":"a"}`, "aws:TagKeys", "a|b", false},
		"ForAllValues like":                    {`"ForAllValues:StringLike":{"dynamodb:LeadingKeys":"prod/*"}`, "dynamodb:LeadingKeys", "prod/a|prod/b", true},
		"ForAllValues like, one is not":        {`"ForAllValues:StringLike":{"dynamodb:LeadingKeys":"prod/*"}`, "dynamodb:LeadingKeys", "prod/a|staging/b", false},
		"ForAllValues and Null, absent":        {`"ForAllValues:StringEquals":{"aws:TagKeys":"a"},"Null":{"aws:TagKeys":"false"}`, "aws:TagKeys", "-", false},

		// Without a set operator AWS calls several values a mistake of the policy's; here one that is equal is enough to be
		// equal, and to be not different.
		"no set operator, one is":             {`"StringEquals":{"aws:TagKeys":"a"}`, "aws:TagKeys", "a|b", true},
		"no set operator negated, one is":     {`"StringNotEquals":{"aws:TagKeys":"a"}`, "aws:TagKeys", "a|b", false},
		"no set operator negated, all differ": {`"StringNotEquals":{"aws:TagKeys":"a"}`, "aws:TagKeys", "b|c", true},

		"a principal's tag":                 {`"StringEquals":{"aws:PrincipalTag/team":"payments"}`, "s3:prefix", "-", true},
		"a principal's other tag":           {`"StringEquals":{"aws:PrincipalTag/unit":"x"}`, "s3:prefix", "-", false},
		"the role's ARN, not the session's": {`"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/services/billing"}`, "s3:prefix", "-", true},
		"the session's ARN is not it":       {`"ArnLike":{"aws:PrincipalArn":"arn:aws:sts::*:assumed-role/billing/*"}`, "s3:prefix", "-", false},
		"the principal's account":           {`"StringEquals":{"aws:PrincipalAccount":"111122223333"}`, "s3:prefix", "-", true},
		"the principal's type":              {`"StringEquals":{"aws:PrincipalType":"AssumedRole"}`, "s3:prefix", "-", true},
		"the user id of any session":        {`"StringLike":{"aws:userid":"AROAEXAMPLEEXAMPLE01:*"}`, "s3:prefix", "-", true},
		"not a service":                     {`"Bool":{"aws:PrincipalIsAWSService":"false"}`, "s3:prefix", "-", true},
		"no user name":                      {`"Null":{"aws:username":"true"}`, "s3:prefix", "-", true},
		"no MFA":                            {`"Bool":{"aws:MultiFactorAuthPresent":"false"}`, "s3:prefix", "-", true},
		"no organisation":                   {`"StringNotEquals":{"aws:PrincipalOrgID":"o-x"}`, "s3:prefix", "-", true},
		"two operators":                     {`"StringEquals":{"s3:prefix":"a"},"Bool":{"aws:PrincipalIsAWSService":"false"}`, "s3:prefix", "a", true},
		"two operators, one fails":          {`"StringEquals":{"s3:prefix":"a"},"Bool":{"aws:PrincipalIsAWSService":"true"}`, "s3:prefix", "a", false},
		"two keys":                          {`"StringEquals":{"s3:prefix":"a","aws:PrincipalAccount":"111122223333"}`, "s3:prefix", "a", true},
		"two keys, one fails":               {`"StringEquals":{"s3:prefix":"a","aws:PrincipalAccount":"1"}`, "s3:prefix", "a", false},
	} {
		context := map[string]string{a.key: a.value}
		if a.value == "-" {
			context = nil
		}
		granted, refused := scene{want: implicit, identity: when(a.condition), context: context}, scene{want: allow, identity: unless(a.condition), context: maps.Clone(context)}
		if a.holds {
			granted.want, refused.want = allow, deny
		}
		scenes["allow if "+name], scenes["deny if "+name] = granted, refused
	}
	run(t, scenes)
}
