package contract

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// Duration is a length of time in whole seconds. Contracts and tags write it as a number of seconds or as "90s", "15m",
// "24h", "7d", "2w"; compiled JSON always has the number of seconds, so that equal lengths have equal digests.
type Duration time.Duration

// Std is the duration as the standard library knows it.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// Units, longest first, for writing.
var units = []struct {
	letter string
	length time.Duration
}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}}

// String writes the duration in the largest unit that divides it: "7d", "36h", "90s".
func (d Duration) String() string {
	for _, u := range units {
		if d != 0 && time.Duration(d)%u.length == 0 {
			return strconv.FormatInt(int64(time.Duration(d)/u.length), 10) + u.letter
		}
	}
	return strconv.FormatInt(int64(time.Duration(d)/time.Second), 10) + "s"
}

// Ten digits hold a hundred years of seconds, and cannot overflow an int64 in any unit.
var duration = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([0-9]{1,10})([smhdw]?)$`) })

// ParseDuration reads a number of seconds, or a number with the unit s, m, h, d or w.
func ParseDuration(text string) (Duration, error) {
	m := duration().FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("%q is not a duration; write seconds (86400) or a number with s, m, h, d or w (24h, 7d)", text)
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return 0, err
	}
	unit := time.Second
	switch m[2] {
	case "m":
		unit = time.Minute
	case "h":
		unit = time.Hour
	case "d":
		unit = 24 * time.Hour
	case "w":
		unit = 7 * 24 * time.Hour
	}
	if n > int64(longest/unit) {
		return 0, fmt.Errorf("%q is longer than a hundred years; did you mean seconds?", text)
	}
	return Duration(time.Duration(n) * unit), nil
}

const longest = 100 * 365 * 24 * time.Hour

// MarshalJSON writes whole seconds as a number.
func (d Duration) MarshalJSON() ([]byte, error) {
	return strconv.AppendInt(nil, int64(time.Duration(d)/time.Second), 10), nil
}

// UnmarshalJSON reads a number of seconds or a string that ParseDuration reads.
func (d *Duration) UnmarshalJSON(data []byte) error {
	text := string(data)
	if len(data) > 0 && data[0] == '"' {
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
	}
	parsed, err := ParseDuration(text)
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}
