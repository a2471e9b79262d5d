package desk

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// errStranger says that a connection is of another person, or of a session of
// theirs at another desk.
var errStranger = errors.New("the other end is not of this session")

// maxTable bounds the kernel's table of connections.
const maxTable = 16 << 20

// SamePerson says nil if the other end of a loopback connection is a program of
// this person in this session. It asks the kernel, which nobody can mislead.
func SamePerson(peer net.Addr) error {
	a, ok := peer.(*net.TCPAddr)
	if !ok || a.IP.To4() == nil {
		return errStranger
	}
	uid, inode, err := ownerOf(a)
	if err != nil {
		return err
	}
	if uid != os.Getuid() {
		return errStranger
	}
	pid, err := holderOf(inode)
	if err != nil {
		return err
	}
	theirs, err1 := sessionOf(strconv.Itoa(pid))
	ours, err2 := sessionOf("self")
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if theirs != ours {
		return errStranger
	}
	return nil
}

// ownerOf finds the socket that is bound to a local address.
func ownerOf(a *net.TCPAddr) (uid int, inode string, err error) {
	f, err := os.Open("/proc/net/tcp")
	if err != nil {
		return 0, "", fmt.Errorf("find the other end: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	ip := a.IP.To4()
	want := strings.ToUpper(hex.EncodeToString([]byte{ip[3], ip[2], ip[1], ip[0]})) + fmt.Sprintf(":%04X", a.Port)
	lines := bufio.NewScanner(io.LimitReader(f, maxTable))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || fields[1] != want {
			continue
		}
		uid, err := strconv.Atoi(fields[7])
		return uid, fields[9], err
	}
	return 0, "", errStranger
}

// holderOf finds a process of this person that holds a socket.
func holderOf(inode string) (int, error) {
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return 0, fmt.Errorf("find the other end: %w", err)
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && to == "socket:["+inode+"]" {
			return strconv.Atoi(strings.Split(link, "/")[2])
		}
	}
	return 0, errStranger
}

// sessionOf returns the login session of a process, as the kernel's audit
// counts them.
func sessionOf(pid string) (string, error) {
	b, err := os.ReadFile("/proc/" + pid + "/sessionid") //nolint:gosec // a number of the kernel's
	if errors.Is(err, os.ErrNotExist) {
		return "", nil // a kernel that counts none has one
	}
	if err != nil {
		return "", fmt.Errorf("find the session: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}
