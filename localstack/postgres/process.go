package postgres

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
)

// account is the operating system user as whom the server runs. PostgreSQL refuses root, so root gives way to the user
// that Debian's package makes; anybody else runs the server as themselves.
type account struct {
	root     bool
	uid, gid int
}

func serverAccount() (*account, error) {
	if os.Geteuid() != 0 {
		return &account{}, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL refuses to run as root and there is no user postgres: apt-get install postgresql (%w)", err)
	}
	uid, errUID := strconv.Atoi(u.Uid)
	gid, errGID := strconv.Atoi(u.Gid)
	return &account{root: true, uid: uid, gid: gid}, errors.Join(errUID, errGID)
}

func (a *account) own(path string) error {
	if !a.root {
		return nil
	}
	if err := os.Chown(path, a.uid, a.gid); err != nil {
		return fmt.Errorf("give %s to the user postgres: %w", path, err)
	}
	return nil
}

// attributes make a child run as the account, in a process group of its own: a Ctrl-C in the terminal is for us, and we
// stop the server in order.
func (a *account) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if a.root {
		attr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return attr
}

// server is the running postmaster.
type server struct {
	pid   int
	ended chan struct{}
}

func (c *Cluster) spawn(bin string) (*server, error) {
	log, err := os.OpenFile(filepath.Join(c.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the server's log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(bin, "postgres"), "-D", c.data(), "-p", strconv.Itoa(c.Port))
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.dir, log, log
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	cmd.SysProcAttr = c.account.attributes()
	cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT // so that no server outlives a test that was killed
	if c.clock != "" {
		library, err := fakeClock()
		if err != nil {
			return nil, err
		}
		// The offset is read at every look at the clock; the monotonic clock stays real, or waits would end at once.
		cmd.Env = append(cmd.Env, "LD_PRELOAD="+library, "FAKETIME_TIMESTAMP_FILE="+c.clock, "FAKETIME_NO_CACHE=1",
			"FAKETIME_DONT_FAKE_MONOTONIC=1")
	}
	s := &server{ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		// Linux sends the parent-death signal when the thread that forked ends, so that thread must live as long as
		// the server: https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			s.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in its log
			close(s.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	return s, nil
}

// binaries is the directory of the newest PostgreSQL server: on PATH, else where Debian puts it.
func binaries() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			if _, err = os.Stat(filepath.Join(filepath.Dir(path), "postgres")); err == nil {
				return filepath.Dir(path), nil
			}
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return "", errors.New("no PostgreSQL server on this machine (initdb is neither on PATH nor in /usr/lib/postgresql): apt-get install postgresql")
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), nil
}

func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}

// CanFollowClock tells whether this machine has what Options.FollowClock needs.
func CanFollowClock() bool {
	_, err := fakeClock()
	return err == nil
}

func fakeClock() (string, error) {
	found, _ := filepath.Glob("/usr/lib/*/faketime/libfaketime.so.1")
	if len(found) == 0 {
		return "", errors.New("the server's clock cannot follow the local stack's without libfaketime: apt-get install libfaketime")
	}
	return found[0], nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
