// Package policy reads IAM policy documents and decides with them, as IAM documents it and without any state:
//
//   - evaluation within an account and across accounts, with boundaries, session policies and resource policies:
//     https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
//   - the grammar: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
//   - principals: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
//   - conditions: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
//   - variables: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
//
// A condition operator or key that the package does not know is an error wherever it stands, in Parse and in Evaluate:
// a condition is never passed over.
//
// Left out: organisations (SCPs, RCPs), VPC endpoint policies, access control lists, federated callers, BinaryEquals.
package policy
