// go run main.go DIR SEED: checks the log in DIR/ours with golang.org/x/mod/sumdb (note, tlog), the first implementation
// of these formats, and writes one made by it into DIR/theirs. Its tile paths differ by a height in front, "tile/8/".
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"math/rand"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type inclusion struct {
	Index string   `json:"index"`
	Size  string   `json:"size"`
	Root  string   `json:"root"`
	Proof []string `json:"proof"`
}

type consistency struct {
	First      string   `json:"first"`
	Second     string   `json:"second"`
	FirstRoot  string   `json:"first_root"`
	SecondRoot string   `json:"second_root"`
	Proof      []string `json:"proof"`
}

type proofs struct {
	Inclusion   []inclusion   `json:"inclusion"`
	Consistency []consistency `json:"consistency"`
}

func must(err error, what string) {
	if err != nil {
		log.Fatalf("%s: %v", what, err)
	}
}

func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	must(err, "a number")
	return n
}

func hash(text string) tlog.Hash {
	h, err := tlog.ParseHash(text)
	must(err, "a hash")
	return h
}

func hashes(texts []string) []tlog.Hash {
	var out []tlog.Hash
	for _, text := range texts {
		out = append(out, hash(text))
	}
	return out
}

func texts(hashes []tlog.Hash) []string {
	out := []string{}
	for _, h := range hashes {
		out = append(out, h.String())
	}
	return out
}

// A log's directory as the tile server that tlog expects. It checks every tile against the signed root.
type directory string

func (d directory) Height() int { return 8 }
func (d directory) ReadTiles(tiles []tlog.Tile) (out [][]byte, err error) {
	for _, t := range tiles {
		data, err := os.ReadFile(filepath.Join(string(d), strings.Replace(t.Path(), "tile/8/", "tile/", 1)))
		if err != nil {
			return nil, err
		}
		out = append(out, data)
	}
	return out, nil
}
func (d directory) SaveTiles([]tlog.Tile, [][]byte) {}

func checkOurs(dir string) {
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(dir, name))
		must(err, name)
		return string(data)
	}
	verifier, err := note.NewVerifier(read("log.vkey"))
	must(err, "the log's key")
	opened, err := note.Open([]byte(read("checkpoint")), note.VerifierList(verifier))
	must(err, "the checkpoint")
	if len(opened.Sigs) != 1 || len(opened.UnverifiedSigs) != 1 {
		log.Fatal("want the log's signature and a cosignature of another type")
	}
	lines := strings.Split(opened.Text, "\n")
	tree := tlog.Tree{N: number(lines[1]), Hash: hash(lines[2])}
	reader := tlog.TileHashReader(tree, directory(dir))
	root, err := tlog.TreeHash(tree.N, reader)
	must(err, "the root from the tiles")
	if root != tree.Hash {
		log.Fatal("the tiles lead to another root")
	}
	var p proofs
	must(json.Unmarshal([]byte(read("proofs.json")), &p), "proofs.json")
	for _, in := range p.Inclusion {
		leaf, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, number(in.Index))})
		must(err, "a leaf's hash")
		must(tlog.CheckRecord(hashes(in.Proof), number(in.Size), hash(in.Root), number(in.Index), leaf[0]), "inclusion")
	}
	for _, c := range p.Consistency {
		must(tlog.CheckTree(hashes(c.Proof), number(c.Second), hash(c.SecondRoot), number(c.First), hash(c.FirstRoot)), "consistency")
	}
}

func writeTheirs(dir string, random *rand.Rand) {
	put := func(name string, data []byte) {
		path := filepath.Join(dir, name)
		must(os.MkdirAll(filepath.Dir(path), 0o755), path)
		must(os.WriteFile(path, data, 0o644), path)
	}
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
		for _, i := range indexes {
			out = append(out, stored[i])
		}
		return out, nil
	})
	size := 1 + random.Int63n(70000)
	bundles := map[int64][]byte{}
	for i := int64(0); i < size; i++ {
		entry := make([]byte, random.Intn(60))
		random.Read(entry)
		added, err := tlog.StoredHashes(i, entry, reader)
		must(err, "a record")
		stored = append(stored, added...)
		bundles[i/256] = append(append(bundles[i/256], byte(len(entry)>>8), byte(len(entry))), entry...)
	}
	for _, t := range tlog.NewTiles(8, 0, size) {
		// It lists the partial tiles of every size on the way; a log with one checkpoint has those of its size.
		if t.W < 256 && int64(t.W) != size>>(8*t.L)%256 {
			continue
		}
		data, err := tlog.ReadTileData(t, reader)
		must(err, "a tile")
		path := strings.Replace(t.Path(), "tile/8/", "tile/", 1)
		put(path, data)
		if t.L == 0 {
			put(strings.Replace(path, "tile/0/", "tile/entries/", 1), bundles[t.N])
		}
	}
	root := func(n int64) tlog.Hash {
		h, err := tlog.TreeHash(n, reader)
		must(err, "a root")
		return h
	}
	var p proofs
	for i := 0; i < 20; i++ {
		b := 1 + random.Int63n(size)
		a := 1 + random.Int63n(b)
		in, err := tlog.ProveRecord(b, a-1, reader)
		must(err, "an inclusion proof")
		p.Inclusion = append(p.Inclusion, inclusion{fmt.Sprint(a - 1), fmt.Sprint(b), root(b).String(), texts(in)})
		c, err := tlog.ProveTree(b, a, reader)
		must(err, "a consistency proof")
		p.Consistency = append(p.Consistency, consistency{fmt.Sprint(a), fmt.Sprint(b), root(a).String(), root(b).String(), texts(c)})
	}
	data, err := json.Marshal(p)
	must(err, "proofs.json")
	put("proofs.json", data)
	skey, vkey, err := note.GenerateKey(random, "go.example/log")
	must(err, "a key")
	signer, err := note.NewSigner(skey)
	must(err, "a signer")
	signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("go.example/log\n%d\n%s\n", size, root(size))}, signer)
	must(err, "a signature")
	put("checkpoint", signed)
	put("log.vkey", []byte(vkey))
}

func main() {
	dir := os.Args[1]
	checkOurs(filepath.Join(dir, "ours"))
	writeTheirs(filepath.Join(dir, "theirs"), rand.New(rand.NewSource(number(os.Args[2]))))
	fmt.Println("golang.org/x/mod/sumdb reads the log")
}
