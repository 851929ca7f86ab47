// This folder is a module of its own so that `go ... ./...` at the root does not look into node_modules.
module github.com/mayfly-secrets/mayfly/tools

go 1.26
