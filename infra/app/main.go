// Command app synthesizes Mayfly's CloudFormation template. The CDK CLI runs it (cdk.json); without the CLI, set
// CDK_OUTDIR to the folder to write and CDK_CONTEXT_JSON to the context.
package main

import (
	"fmt"
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/mayfly-secrets/mayfly/infra"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "infra:", err)
		os.Exit(1)
	}
}

func run() error {
	defer jsii.Close()
	app := awscdk.NewApp(&awscdk.AppProps{AnalyticsReporting: jsii.Bool(false)})
	settings, err := infra.ReadSettings(app.Node())
	if err != nil {
		return err
	}
	if _, err := infra.NewStack(app, "Mayfly", settings); err != nil {
		return err
	}
	app.Synth(nil)
	return nil
}
