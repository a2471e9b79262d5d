package desk

import (
	"bufio"
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
func SamePerson(peer, local net.Addr) error {
	theirs, ok1 := peer.(*net.TCPAddr)
	own, ok2 := local.(*net.TCPAddr)
	if !ok1 || !ok2 || theirs.IP.To4() == nil || own.IP.To4() == nil {
		return errStranger
	}
	uid, inode, err := ownerOf(theirs, own)
	if err != nil {
		return err
	}
	if uid != os.Getuid() {
		return errStranger
	}
	here := system("/")
	ours, err := here.sessionOf("self", uid)
	if err != nil {
		return err
	}
	return holdersOf(inode, func(pid string) bool {
		theirs, err := here.sessionOf(pid, uid)
		return err == nil && here.same(theirs, ours)
	})
}

// ownerOf finds the socket at the other end of a connection. One address alone
// does not tell: many connections, of many people, can begin at the same port.
func ownerOf(theirs, own *net.TCPAddr) (uid int, inode string, err error) {
	f, err := os.Open("/proc/net/tcp")
	if err != nil {
		return 0, "", fmt.Errorf("find the other end: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	lines := bufio.NewScanner(io.LimitReader(f, maxTable))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || fields[1] != inTable(theirs) || fields[2] != inTable(own) {
			continue
		}
		uid, err := strconv.Atoi(fields[7])
		return uid, fields[9], err
	}
	return 0, "", errStranger
}

// inTable is an address as the kernel's table writes it.
func inTable(a *net.TCPAddr) string {
	ip := a.IP.To4()
	return fmt.Sprintf("%02X%02X%02X%02X:%04X", ip[3], ip[2], ip[1], ip[0], a.Port)
}

// holdersOf looks for a process of this person that holds a socket and is the
// right one. There may be several: whoever starts a program shares its own for
// a moment.
func holdersOf(inode string, right func(pid string) bool) error {
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return fmt.Errorf("find the other end: %w", err)
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && to == "socket:["+inode+"]" && right(strings.Split(link, "/")[2]) {
			return nil
		}
	}
	return errStranger
}
