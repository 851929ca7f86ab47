package policy

import "strings"

// The condition keys that a policy may name. Every one of them is either given a value by whoever builds a Request, for
// the calls for which AWS documents one, or belongs to something that the local stack does not have (networks,
// organisations, federation), so that it is rightly absent. A key that AWS knows and that is not here would be
// taken for absent by mistake, which is why it is an error.
//   - https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
//   - https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
func knownKeys() []string {
	return []string{
		"aws:CurrentTime", "aws:EpochTime", "aws:SecureTransport", "aws:SourceIp", "aws:UserAgent", "aws:Referer",
		"aws:RequestedRegion", "aws:ResourceAccount", "aws:TagKeys",
		"aws:PrincipalArn", "aws:PrincipalAccount", "aws:PrincipalType", "aws:userid", "aws:username", "aws:MultiFactorAuthPresent", "aws:MultiFactorAuthAge",
		"aws:PrincipalIsAWSService", "aws:PrincipalServiceName", "aws:SourceArn", "aws:SourceAccount", "aws:ViaAWSService",
		// Absent: calls through other services by forward access, networks, organisations, federation.
		"aws:CalledVia", "aws:CalledViaFirst", "aws:CalledViaLast",
		"aws:SourceVpc", "aws:SourceVpce", "aws:VpcSourceIp",
		"aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "aws:ResourceOrgID", "aws:ResourceOrgPaths", "aws:SourceOrgID", "aws:SourceOrgPaths",
		"aws:FederatedProvider", "aws:SourceIdentity",

		"secretsmanager:SecretId", "secretsmanager:VersionId", "secretsmanager:VersionStage", "secretsmanager:Name",
		"secretsmanager:Description", "secretsmanager:BlockPublicPolicy", "secretsmanager:RecoveryWindowInDays",
		"secretsmanager:ForceDeleteWithoutRecovery", "secretsmanager:KmsKeyId", "secretsmanager:KmsKeyArn",
		"dynamodb:LeadingKeys", "dynamodb:EnclosingOperation",
		"s3:prefix", "s3:delimiter", "s3:max-keys", "s3:VersionId", "s3:ResourceAccount", "s3:TlsVersion",
		"s3:object-lock-mode", "s3:object-lock-retain-until-date", "s3:object-lock-remaining-retention-days", "s3:object-lock-legal-hold",
		"s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id", "s3:x-amz-content-sha256",
		"s3:if-match", "s3:if-none-match",
		"kms:CallerAccount", "kms:ViaService", "kms:EncryptionContextKeys", "kms:EncryptionAlgorithm", "kms:MacAlgorithm", "kms:RequestAlias",
		"kms:GrantIsForAWSResource", "kms:GrantOperations", "kms:GrantConstraintType", "kms:GranteePrincipal", "kms:RetiringPrincipal",
		"events:source", "events:detail-type",
		"lambda:SourceFunctionArn",
		"lambda:FunctionUrlAuthType", "lambda:InvokedViaFunctionUrl", // of calls by a function's URL, which come in elsewhere
		"sns:Protocol", "sns:Endpoint",
		"sts:ExternalId", "sts:RoleSessionName", "sts:TransitiveTagKeys",
		"iam:PassedToService",
		"cloudwatch:namespace",
	}
}

// knownFamilies are keys that go on with a name of the user's, such as a tag's.
func knownFamilies() []string {
	return []string{"aws:PrincipalTag/", "aws:RequestTag/", "aws:ResourceTag/", "secretsmanager:ResourceTag/", "kms:EncryptionContext:"}
}

// known says whether a condition key is one of ours. Names of keys have no case.
func known(key string) bool {
	for _, k := range knownKeys() {
		if strings.EqualFold(k, key) {
			return true
		}
	}
	for _, f := range knownFamilies() {
		if len(key) > len(f) && strings.EqualFold(f, key[:len(f)]) {
			return true
		}
	}
	return false
}
