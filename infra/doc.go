// Package infra is Mayfly's AWS deployment as a CDK app: one stack, one construct per concern, and next to each
// construct the methods by which another is allowed to use it.
//
// A Grant method does two things in one act: it adds the IAM statement and it sets the environment variable by which
// the function finds what it was granted, so that neither exists without the other. Permissions are exact: no action
// and no resource is broader than the step behind it needs, and permissions_test.go holds them all in one table.
//
// The template holds no function in another language than Go and no CDK provider framework.
package infra
