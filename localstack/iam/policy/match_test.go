package policy_test

import "testing"

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html
func TestActions(t *testing.T) {
	may := func(element string) string { return `{"Effect":"Allow",` + element + `,"Resource":"*"}` }
	not := func(element string) string { return `{"Effect":"Deny",` + element + `,"Resource":"*"}` }
	run(t, map[string]scene{
		"the action itself":                 {want: allow, identity: may(`"Action":"secretsmanager:GetSecretValue"`)},
		"one of a list":                     {want: allow, identity: may(`"Action":["s3:GetObject","secretsmanager:GetSecretValue"]`)},
		"case does not count":               {want: allow, identity: may(`"Action":"SecretsManager:getsecretvalue"`)},
		"case of a wildcard neither":        {want: allow, identity: may(`"Action":"secretsmanager:GETSECRET*"`)},
		"all of the service":                {want: allow, identity: may(`"Action":"secretsmanager:*"`)},
		"all that begins so":                {want: allow, identity: may(`"Action":"secretsmanager:Get*"`)},
		"all that begins otherwise":         {want: implicit, identity: may(`"Action":"secretsmanager:Put*"`)},
		"a wildcard within":                 {want: allow, identity: may(`"Action":"secretsmanager:Get*Value"`)},
		"two wildcards":                     {want: allow, identity: may(`"Action":"secretsmanager:*Secret*"`)},
		"one character":                     {want: allow, identity: may(`"Action":"secretsmanager:GetSecret?alue"`)},
		"one character is not none":         {want: implicit, identity: may(`"Action":"secretsmanager:GetSecretValue?"`)},
		"another service":                   {want: implicit, identity: may(`"Action":"s3:*"`)},
		"every service":                     {want: allow, identity: may(`"Action":"*:*"`)},
		"the beginning alone":               {want: implicit, identity: may(`"Action":"secretsmanager:GetSecret"`)},
		"no action but this":                {want: implicit, identity: may(`"NotAction":"secretsmanager:GetSecretValue"`)},
		"all but another action":            {want: allow, identity: may(`"NotAction":"secretsmanager:PutSecretValue"`)},
		"all but iam":                       {want: allow, identity: may(`"NotAction":["iam:*","organizations:*"]`)},
		"NotAction allows, it never denies": {want: allow, identity: may(`"NotAction":"secretsmanager:*"`) + "," + mayRead},
		"deny all but another action":       {want: deny, identity: mayAll + "," + not(`"NotAction":"secretsmanager:DescribeSecret"`)},
		"deny all but this":                 {want: allow, identity: mayAll + "," + not(`"NotAction":"secretsmanager:GetSecretValue"`)},
		"deny all but this, case aside":     {want: allow, identity: mayAll + "," + not(`"NotAction":"SECRETSMANAGER:GET*"`)},
	})
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
func TestResources(t *testing.T) {
	may := func(element string) string { return `{"Effect":"Allow","Action":"*",` + element + `}` }
	not := func(element string) string { return mayAll + `,{"Effect":"Deny","Action":"*",` + element + `}` }
	const table = "arn:aws:dynamodb:us-east-1:111122223333:table/runs"
	run(t, map[string]scene{
		"everything":                               {want: allow, identity: may(`"Resource":"*"`)},
		"the secret":                               {want: allow, identity: may(`"Resource":"` + secret + `"`)},
		"another secret":                           {want: implicit, identity: may(`"Resource":"arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/other-AbCdEf"`)},
		"the secret with any suffix":               {want: allow, identity: may(`"Resource":"arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/payment-??????"`)},
		"the suffix has six characters":            {want: implicit, identity: may(`"Resource":"arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/payment-?????"`)},
		"every secret of prod":                     {want: allow, identity: may(`"Resource":"arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/*"`)},
		"every secret of staging":                  {want: implicit, identity: may(`"Resource":"arn:aws:secretsmanager:us-east-1:111122223333:secret:staging/*"`)},
		"case counts in resources":                 {want: implicit, identity: may(`"Resource":"arn:aws:secretsmanager:us-east-1:111122223333:secret:PROD/*"`)},
		"any region":                               {want: allow, identity: may(`"Resource":"arn:aws:secretsmanager:*:111122223333:secret:prod/*"`)},
		"any account":                              {want: allow, identity: may(`"Resource":"arn:aws:secretsmanager:us-east-1:*:secret:prod/*"`)},
		"another region":                           {want: implicit, identity: may(`"Resource":"arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/*"`)},
		"another account":                          {want: implicit, identity: may(`"Resource":"arn:aws:secretsmanager:us-east-1:444455556666:secret:prod/*"`)},
		"a wildcard stays between its colons":      {want: implicit, identity: may(`"Resource":"arn:aws:*:prod/*"`), on: "arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/x"},
		"missing fields are completed":             {want: allow, identity: may(`"Resource":"arn:aws:secretsmanager"`)},
		"missing fields of another service":        {want: implicit, identity: may(`"Resource":"arn:aws:s3"`)},
		"an object below a prefix":                 {want: allow, action: "s3:GetObject", on: object, identity: may(`"Resource":"arn:aws:s3:::records/audit/*"`)},
		"an object below another prefix":           {want: implicit, action: "s3:GetObject", on: object, identity: may(`"Resource":"arn:aws:s3:::records/other/*"`)},
		"a wildcard goes over slashes":             {want: allow, action: "s3:GetObject", on: object, identity: may(`"Resource":"arn:aws:s3:::records/*"`)},
		"the bucket is not its objects":            {want: implicit, action: "s3:GetObject", on: object, identity: may(`"Resource":"arn:aws:s3:::records"`)},
		"the objects are not the bucket":           {want: implicit, action: "s3:ListBucket", on: "arn:aws:s3:::records", identity: may(`"Resource":"arn:aws:s3:::records/*"`)},
		"bucket and objects together":              {want: allow, action: "s3:ListBucket", on: "arn:aws:s3:::records", identity: may(`"Resource":["arn:aws:s3:::records","arn:aws:s3:::records/*"]`)},
		"a table is not its index":                 {want: implicit, action: "dynamodb:Query", on: table + "/index/due", identity: may(`"Resource":"` + table + `"`)},
		"a table and its indexes":                  {want: allow, action: "dynamodb:Query", on: table + "/index/due", identity: may(`"Resource":["` + table + `","` + table + `/index/*"]`)},
		"a log group ends with a colon and a star": {want: allow, action: "logs:PutLogEvents", on: "arn:aws:logs:us-east-1:111122223333:log-group:/mayfly/audit:log-stream:s", identity: may(`"Resource":"arn:aws:logs:us-east-1:111122223333:log-group:/mayfly/audit:*"`)},
		"a log group without it":                   {want: implicit, action: "logs:PutLogEvents", on: "arn:aws:logs:us-east-1:111122223333:log-group:/mayfly/audit:log-stream:s", identity: may(`"Resource":"arn:aws:logs:us-east-1:111122223333:log-group:/mayfly/audit"`)},
		"executions of one machine":                {want: allow, action: "states:DescribeExecution", on: "arn:aws:states:us-east-1:111122223333:execution:mayfly-rotate:abc", identity: may(`"Resource":"arn:aws:states:us-east-1:111122223333:execution:mayfly-rotate:*"`)},
		"executions of another machine":            {want: implicit, action: "states:DescribeExecution", on: "arn:aws:states:us-east-1:111122223333:execution:mayfly-respond:abc", identity: may(`"Resource":"arn:aws:states:us-east-1:111122223333:execution:mayfly-rotate:*"`)},
		"an action about nothing in particular":    {want: allow, action: "secretsmanager:ListSecrets", on: "*", identity: may(`"Resource":"*"`)},
		"such an action is not about some ARN":     {want: implicit, action: "secretsmanager:ListSecrets", on: "*", identity: may(`"Resource":"arn:aws:secretsmanager:*:*:secret:*"`)},
		"all but this resource":                    {want: implicit, identity: may(`"NotResource":"` + secret + `"`)},
		"all but another resource":                 {want: allow, identity: may(`"NotResource":"arn:aws:secretsmanager:us-east-1:111122223333:secret:staging/*"`)},
		"all but the secrets of prod":              {want: implicit, identity: may(`"NotResource":["arn:aws:s3:::*","arn:aws:secretsmanager:*:*:secret:prod/*"]`)},
		"deny all but this resource":               {want: allow, identity: not(`"NotResource":"` + secret + `"`)},
		"deny all but another resource":            {want: deny, identity: not(`"NotResource":"arn:aws:s3:::*"`)},
	})
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
func TestVariables(t *testing.T) {
	may := func(resource string) string {
		return `{"Effect":"Allow","Action":"s3:*","Resource":"` + resource + `"}`
	}
	when := func(effect, condition string) string {
		return `{"Effect":"` + effect + `","Action":"*","Resource":"*","Condition":` + condition + `}`
	}
	s3 := func(s scene) scene { s.action = "s3:GetObject"; return s }
	run(t, map[string]scene{
		"the user's own folder":          s3(scene{want: allow, caller: carlos(), on: "arn:aws:s3:::home/carlos/x", identity: may("arn:aws:s3:::home/${aws:username}/*")}),
		"another user's folder":          s3(scene{want: implicit, caller: carlos(), on: "arn:aws:s3:::home/zoe/x", identity: may("arn:aws:s3:::home/${aws:username}/*")}),
		"a role has no user name":        s3(scene{want: implicit, on: "arn:aws:s3:::home//x", identity: may("arn:aws:s3:::home/${aws:username}/*")}),
		"an unknown variable is no text": s3(scene{want: implicit, on: "arn:aws:s3:::home/${aws:username}/x", identity: may("arn:aws:s3:::home/${aws:username}/*")}),
		"the session's id":               s3(scene{want: allow, on: "arn:aws:s3:::home/AROAEXAMPLEEXAMPLE01:run-1/x", identity: may("arn:aws:s3:::home/${aws:userid}/*")}),
		"names have no case":             s3(scene{want: allow, caller: carlos(), on: "arn:aws:s3:::home/carlos/x", identity: may("arn:aws:s3:::home/${AWS:UserName}/*")}),
		"a tag of the principal":         s3(scene{want: allow, on: "arn:aws:s3:::payments/x", identity: may("arn:aws:s3:::${aws:PrincipalTag/team}/*")}),
		"a tag that it lacks":            s3(scene{want: implicit, on: "arn:aws:s3:::payments/x", identity: may("arn:aws:s3:::${aws:PrincipalTag/unit}/*")}),
		"a default":                      s3(scene{want: allow, on: "arn:aws:s3:::company-wide/x", identity: may("arn:aws:s3:::${aws:PrincipalTag/unit, 'company-wide'}/*")}),
		"a default that is not needed":   s3(scene{want: allow, on: "arn:aws:s3:::payments/x", identity: may("arn:aws:s3:::${aws:PrincipalTag/team, 'company-wide'}/*")}),
		"a default instead of a value":   s3(scene{want: implicit, on: "arn:aws:s3:::company-wide/x", identity: may("arn:aws:s3:::${aws:PrincipalTag/team, 'company-wide'}/*")}),
		"a literal star":                 s3(scene{want: allow, on: "arn:aws:s3:::b/*", identity: may("arn:aws:s3:::b/${*}")}),
		"a literal star is no wildcard":  s3(scene{want: implicit, on: "arn:aws:s3:::b/x", identity: may("arn:aws:s3:::b/${*}")}),
		"a literal question mark":        s3(scene{want: implicit, on: "arn:aws:s3:::b/x", identity: may("arn:aws:s3:::b/${?}")}),
		"a literal dollar":               s3(scene{want: allow, on: "arn:aws:s3:::b/$", identity: may("arn:aws:s3:::b/${$}")}),
		"a dollar alone is text":         s3(scene{want: allow, on: "arn:aws:s3:::b/$x", identity: may("arn:aws:s3:::b/$x")}),
		"a wildcard in a value is text":  s3(scene{want: implicit, caller: ofTeam("*"), on: "arn:aws:s3:::payments/x", identity: may("arn:aws:s3:::${aws:PrincipalTag/team}/*")}),
		"2008 has no variables":          s3(scene{want: implicit, version: "2008-10-17", caller: carlos(), on: "arn:aws:s3:::home/carlos/x", identity: may("arn:aws:s3:::home/${aws:username}/*")}),
		"in 2008 they are text":          s3(scene{want: allow, version: "2008-10-17", on: "arn:aws:s3:::home/${aws:username}/x", identity: may("arn:aws:s3:::home/${aws:username}/*")}),
		"several values are no value":    s3(scene{want: implicit, context: map[string]string{"aws:TagKeys": "a|b"}, on: "arn:aws:s3:::a/x", identity: may("arn:aws:s3:::${aws:TagKeys}/*")}),

		"in a condition":                     {want: allow, context: map[string]string{"aws:ResourceTag/team": "payments"}, identity: when("Allow", `{"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/team}"}}`)},
		"in a condition that differs":        {want: implicit, context: map[string]string{"aws:ResourceTag/team": "risk"}, identity: when("Allow", `{"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/team}"}}`)},
		"without a value nothing is equal":   {want: implicit, context: map[string]string{"aws:ResourceTag/unit": ""}, identity: when("Allow", `{"StringEquals":{"aws:ResourceTag/unit":"${aws:PrincipalTag/unit}"}}`)},
		"without a value nothing is like":    {want: implicit, context: map[string]string{"aws:ResourceTag/unit": "x"}, identity: when("Allow", `{"StringLike":{"aws:ResourceTag/unit":"${aws:PrincipalTag/unit}*"}}`)},
		"without a value everything differs": {want: deny, context: map[string]string{"aws:ResourceTag/unit": "x"}, identity: mayAll + "," + when("Deny", `{"StringNotEquals":{"aws:ResourceTag/unit":"${aws:PrincipalTag/unit}"}}`)},
		"same tag is not denied":             {want: allow, context: map[string]string{"aws:ResourceTag/team": "payments"}, identity: mayAll + "," + when("Deny", `{"StringNotEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/team}"}}`)},
		"a literal star in StringEquals":     {want: allow, context: map[string]string{"s3:prefix": "*"}, identity: when("Allow", `{"StringEquals":{"s3:prefix":"${*}"}}`)},
		"a variable in an ARN":               {want: allow, context: map[string]string{"aws:SourceArn": "arn:aws:iam::111122223333:role/services/billing"}, identity: when("Allow", `{"ArnEquals":{"aws:SourceArn":"${aws:PrincipalArn}"}}`)},
		"an account in an ARN":               {want: allow, context: map[string]string{"aws:SourceArn": "arn:aws:sns:us-east-1:111122223333:t"}, identity: when("Allow", `{"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:${aws:PrincipalAccount}:*"}}`)},
	})
}
