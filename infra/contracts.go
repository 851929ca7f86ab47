package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/mayfly-secrets/mayfly/internal/env"
)

// NewContracts brings the contracts into force with the deployment. CloudFormation calls the function itself, which
// answers it; the digest changes when a contract does, so that CloudFormation sees a reason to call.
// Admission gets the rules that came with them; other rules are another asset, and so another version of its function.
// Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-custom-resources-lambda.html
func NewContracts(scope constructs.Construct, id string, admit, apply *Function, audit Audit, readers *string, digest, commit string) awscdk.CfnCustomResource {
	admit.Set(env.GuardrailsFile, jsii.String(GuardrailsFile))
	apply.Set(env.ContractsFile, jsii.String(ContractsFile))
	apply.Set(env.ContractCommit, &commit)
	contracts := awscdk.NewCfnCustomResource(scope, &id, &awscdk.CfnCustomResourceProps{
		ServiceToken: apply.Function.FunctionArn(),
		// The default is an hour, which a function that died would make a failed deployment wait.
		ServiceTimeout: jsii.Number(5 * watching),
	})
	contracts.AddPropertyOverride(jsii.String("Digest"), &digest)
	contracts.AddPropertyOverride(jsii.String("Readers"), readers) // whom the secrets' resource policies spare
	contracts.Node().AddDependency(audit.Bucket.Policy())          // applying is recorded, and under the whole policy
	return contracts
}
