package lambda

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

// copyLog passes the lines of a process on as log events until it has closed its output.
func (b *sandbox) copyLog(read *os.File) {
	defer close(b.drained)
	defer read.Close()
	lines := bufio.NewReader(read)
	for {
		line, err := lines.ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			b.log(line)
		}
		if err != nil {
			return
		}
	}
}

// log writes a line, if the function's role may: without the permission it is lost, as it is in AWS.
// Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html
func (b *sandbox) log(line string) {
	if may := b.service.Authorize; may != nil {
		group := fmt.Sprintf("arn:aws:logs:%s:%s:log-group:%s:log-stream:", stack.Region, stack.Account, b.set.Logging.Group)
		if !b.logged.Load() && may(context.Background(), b.set.Role, "logs:CreateLogStream", group) != nil ||
			may(context.Background(), b.set.Role, "logs:PutLogEvents", group+b.stream) != nil {
			return
		}
		b.logged.Store(true)
	}
	b.service.logs.Put(b.set.Logging.Group, b.stream, b.service.clock.Now(), line)
}

// logStart writes what Lambda itself logs about an invocation that begins. In JSON format platform.start has level INFO:
// https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
func (b *sandbox) logStart(inv *invocation, version string) {
	if !b.set.Logging.JSON {
		b.log(fmt.Sprintf("START RequestId: %s Version: %s", inv.id, version))
		return
	}
	b.platform("INFO", "platform.start", map[string]any{"requestId": inv.id, "version": version})
}

// logReport writes what Lambda itself logs about an invocation that ended: INFO if it succeeded, WARN if not.
func (b *sandbox) logReport(inv *invocation, took time.Duration, result Result) {
	ms := float64(took.Microseconds()) / 1000
	if !b.set.Logging.JSON {
		b.log("END RequestId: " + inv.id)
		b.log(fmt.Sprintf("REPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %.0f ms\tMemory Size: %d MB", inv.id, ms, math.Ceil(ms), b.set.MemorySize))
		return
	}
	level, status := "INFO", "success"
	if result.FunctionError != "" {
		level, status = "WARN", "error"
	}
	if result.ErrorType == "Sandbox.Timedout" {
		status = "timeout"
	}
	b.platform(level, "platform.report", map[string]any{
		"requestId": inv.id, "status": status,
		"metrics": map[string]any{"durationMs": ms, "billedDurationMs": math.Ceil(ms), "memorySizeMB": b.set.MemorySize},
	})
}

var levels = map[string]int{"DEBUG": 0, "INFO": 1, "WARN": 2}

func (b *sandbox) platform(level, kind string, record map[string]any) {
	if levels[level] < levels[b.set.Logging.SystemLevel] {
		return
	}
	line, _ := json.Marshal(map[string]any{
		"time": b.service.clock.Now().Format("2006-01-02T15:04:05.000Z"), "type": kind, "record": record,
	})
	b.log(string(line))
}
