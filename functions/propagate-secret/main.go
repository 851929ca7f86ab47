// Command propagate-secret is the state PropagateSecret: it makes the services pick the new version up.
package main

import (
	"github.com/mayfly-secrets/mayfly/internal/function"
	"github.com/mayfly-secrets/mayfly/internal/rotation"
)

func main() {
	cfg := function.Config()
	step := &rotation.PropagateSecret{Log: function.AuditLog(cfg)}
	function.Start(step.Handle)
}
