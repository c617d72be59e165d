"""Plants a violation of each rule in a temporary tree: a lint that can't fail would prove nothing."""
import subprocess
import tempfile
import unittest
from pathlib import Path

import check_fuzz
import check_layers
import check_link_graph
import check_nondeterminism
import check_text
import sources

RULES = check_layers.Rules(Path(__file__).parent / "layers.json")


class TemporaryTree(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def plant(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


class Fuzz(TemporaryTree):
    def plant_all(self, name):
        self.plant(f"tests/fuzz/{name}_fuzz.cc", "")
        self.plant("tests/fuzz/CMakeLists.txt", f"coffer_fuzz({name} DEPS x)\n")
        self.plant(f"tests/fuzz/corpus/{name}/one", "1")
        self.plant(f"tests/fuzz/dict/{name}.dict", '# words\n"a\\x00\\""\n')
        self.plant("docs/fuzzing.md", f"| `{name}` | x |\n")

    def test_a_whole_fuzzer_passes(self):
        self.plant_all("a")
        self.assertEqual(check_fuzz.check(self.root), [])

    def test_each_missing_part_is_told(self):
        missing = (("tests/fuzz/corpus/a/one", "no input"), ("tests/fuzz/dict/a.dict", "no tests/fuzz/dict/a.dict"),
                   ("docs/fuzzing.md", "no line"), ("tests/fuzz/a_fuzz.cc", "not there"))
        for path, words in missing:
            self.plant_all("a")
            (self.root / path).unlink()
            self.assertIn(words, " ".join(check_fuzz.check(self.root)), path)
        self.plant_all("a")
        self.plant("tests/fuzz/CMakeLists.txt", "")
        self.assertIn("does not build", " ".join(check_fuzz.check(self.root)))

    def test_a_dictionary_that_libfuzzer_would_refuse(self):
        for line in ("word", '"a', '"\\q"', '"\\x0"', '""', ""):
            self.plant_all("a")
            self.plant("tests/fuzz/dict/a.dict", line + "\n")
            self.assertNotEqual(check_fuzz.check(self.root), [], line)


class Layers(TemporaryTree):
    REFUSED = (
        ("runtime/a.cc", '#include "enclave_core/ethereum/types.h"'),
        ("runtime/a.cc", '#include "actors/x.h"'),
        ("invariant/a.h", '#include "runtime/stream.h"'),
        ("enclave_core/ledger/a.cc", '#include "runtime/stream.h"'),
        ("enclave_core/ledger/a.cc", '#include "actors/enclave/ledger.h"'),
        ("enclave_core/ledger/a.cc", "#include <event2/event.h>"),
        ("enclave_core/ledger/a.cc", "#include <filesystem>"),
        ("enclave_core/ledger/a.cc", "#include <fstream>"),
        ("enclave_core/ledger/a.cc", "  #  include <sys/socket.h>"),
        ("enclave_core/ledger/a.cc", "#include <chrono>"),
        ("enclave_core/ledger/a.cc", '#include "absl/synchronization/mutex.h"'),
        ("enclave_core/ethereum/a.cc", '#include "proto/boundary.pb.h"'),
        ("enclave_core/enclave_main.cc", '#include "host_proxy/http.h"'),
        ("enclave_core/enclave_main.cc", '#include "actors/host/chain_rpc.h"'),
        ("actors/enclave/a.cc", '#include "actors/host/chain_rpc.h"'),
        ("actors/enclave/a.cc", '#include "host_proxy/http.h"'),
        ("actors/enclave/a.cc", "#include <spdlog/spdlog.h>"),
        ("actors/host/a.cc", '#include "actors/enclave/ledger.h"'),
        ("actors/host/a.cc", '#include "host_proxy/http.h"'),
        ("actors/a.h", '#include "actors/enclave/ledger.h"'),
        ("host_proxy/a.cc", '#include "actors/enclave/ledger.h"'),
        ("host_proxy/a.cc", '#include "tools/verify.h"'),
        ("runtime/a.cc", '#include "../enclave_core/ledger/a.h"'),
        ("util/a.cc", ""),
    )
    ALLOWED = (
        ("runtime/a.cc", '#include <event2/event.h>\n#include "invariant/check.h"'),
        ("enclave_core/ledger/a.cc", '#include "proto/sealed.pb.h"\n#include "enclave_core/ethereum/types.h"'),
        ("enclave_core/ledger/a.cc", '// #include "runtime/stream.h"\n/* #include <fstream> */'),
        ("enclave_core/enclave_main.cc", '#include "actors/enclave/ledger.h"\n#include "runtime/config.h"\n#include <fstream>'),
        ("actors/enclave/a.cc", '#include "runtime/mailbox.h"\n#include "enclave_core/ledger/ledger.h"'),
        ("host_proxy/a.cc", '#include "actors/host/chain_rpc.h"\n#include <event2/http.h>'),
        ("tools/a.cc", '#include "host_proxy/http.h"'),
        ("tests/unit/runtime/a.cc", '#include "actors/enclave/a.h"\n#include "actors/host/a.h"'),
    )

    def test_forbidden_includes_are_caught(self):
        for path, text in self.REFUSED:
            with self.subTest(path=path, text=text):
                self.plant(path, f"// first line\n{text}\n")
                found = check_layers.check(self.root, RULES)
                self.assertEqual(len(found), 1, found)
                self.assertTrue(found[0].startswith((f"{path}:2: #include", f"{path}:1: no layer")), found)
                (self.root / path).unlink()

    def test_permitted_includes_pass(self):
        for path, text in self.ALLOWED:
            self.plant(path, f"{text}\n")
            self.assertEqual(check_layers.check(self.root, RULES), [])


class Nondeterminism(TemporaryTree):
    PLANTED = (
        ("rand", "int x = rand();"), ("rand", "std::srand(1);"), ("rand", "long x = ::random();"),
        ("random_device", "std::random_device d;"), ("mt19937", "std::mt19937_64 g(time_value);"),
        ("absl_random", "absl::BitGen g;"), ("shuffle", "std::shuffle(a, b, g);"), ("getrandom", "getrandom(p, 1, 0);"),
        ("RAND_bytes", "RAND_bytes(p, 32);"), ("std_clock", "std::chrono::steady_clock::now();"),
        ("absl_now", "auto t = absl::Now();"), ("time", "auto t = time(nullptr);"), ("time", "auto t = std::time(nullptr);"),
        ("gettimeofday", "clock_gettime(CLOCK_REALTIME, &t);"), ("localtime", "localtime_r(&t, &out);"),
        ("getenv", 'auto e = std::getenv("X");'),
    )
    INNOCENT = ("message.time();  mailbox->random(3);  Random& random();  operand(1);  my::time(2);\n"
                "// rand() in a comment, \"steady_clock\" too\n"
                'const char* kText = "getenv(HOME)";\nint lifetime(int); const long big = 1\'000\'000;\n')

    def check(self):
        return check_nondeterminism.check(self.root, self.root / "allow.txt")

    def test_planted_sources_are_caught(self):
        for name, code in self.PLANTED:
            with self.subTest(code=code):
                self.plant("actors/host/a.cc", f"\n{code}\n")
                found = self.check()
                self.assertEqual(len(found), 1, found)
                self.assertIn("actors/host/a.cc:2:", found[0])
                self.assertIn(f"[{name}]", found[0])

    def test_innocent_text_the_seam_and_tests_pass(self):
        self.plant("actors/host/a.cc", self.INNOCENT)
        for path in ("runtime/os_clock.cc", "runtime/os_random.h", "tests/unit/a.cc"):
            self.plant(path, "int x = rand();\n")
        self.assertEqual(self.check(), [])

    def test_allowances_need_a_use_and_a_reason(self):
        self.plant("enclave_core/a.cc", "RAND_bytes(p, 32);\n")
        self.plant("allow.txt", "enclave_core/a.cc RAND_bytes # blinds the curve context only\n")
        self.assertEqual(self.check(), [])
        self.plant("allow.txt", "enclave_core/a.cc RAND_bytes #\n")
        self.assertEqual(len(self.check()), 2)
        self.plant("enclave_core/a.cc", "\n")
        self.plant("allow.txt", "enclave_core/a.cc RAND_bytes # blinds the curve context only\n")
        self.assertIn("no longer has", self.check()[0])


class Text(TemporaryTree):
    PLANTED = (
        ("runtime/a.cc", "int a;\n" * 501, "more than 500"),
        ("runtime/a.cc", "// TO" + "DO: later\n", "finish it"),
        ("docs/a.md", "FIX" + "ME\n", "finish it"),
        ("runtime/a.cc", "int a; \n", "white space"),
        ("runtime/a.cc", "int a;\r\n", "white space"),
        ("runtime/a.cc", "int a;", "no newline"),
        ("runtime/a.h", "#ifndef COFFER_A_H_\n#define COFFER_A_H_\n#endif\n", "COFFER_RUNTIME_A_H_"),
        ("runtime/a.h", "#pragma once\n", "COFFER_RUNTIME_A_H_"),
    )

    def test_planted_text_is_caught(self):
        for path, text, words in self.PLANTED:
            with self.subTest(words=words, path=path):
                self.plant(path, "")
                (self.root / path).write_bytes(text.encode())
                found = check_text.check(self.root)
                self.assertTrue(any(words in f and f.startswith(f"{path}:") for f in found), found)
                (self.root / path).unlink()

    def test_clean_text_passes_and_fix_mends(self):
        self.plant("runtime/a.h", "#ifndef COFFER_RUNTIME_A_H_\n#define COFFER_RUNTIME_A_H_\n#endif\n")
        (self.root / "runtime/b.cc").write_bytes(b"int a;  \r\nint b;")
        self.assertEqual(check_text.check(self.root, fix=True), [])
        self.assertEqual((self.root / "runtime/b.cc").read_bytes(), b"int a;\nint b;\n")


class LinkGraph(TemporaryTree):
    PLANTED = (
        ("libevent", 'extern "C" void event_base_new(); void f() { event_base_new(); }'),
        ("files", "#include <cstdio>\nvoid* f() { return fopen(\"x\", \"r\"); }"),
        ("files", "#include <fcntl.h>\nint f() { return open(\"x\", O_RDONLY); }"),
        ("files", "#include <fstream>\nbool f() { return std::ifstream(\"x\").good(); }"),
        ("files", "#include <filesystem>\nbool f() { return std::filesystem::exists(\"x\"); }"),
        ("sockets", "#include <sys/socket.h>\nint f() { return socket(1, 1, 0); }"),
        ("sockets", 'extern "C" int SSL_set_fd(void*, int); int f() { return SSL_set_fd(nullptr, 0); }'),
        ("TLS", 'extern "C" int SSL_connect(void*); int f() { return SSL_connect(nullptr); }'),
        ("clocks", "#include <chrono>\nlong f() { return std::chrono::steady_clock::now().time_since_epoch().count(); }"),
        ("environment", "#include <cstdlib>\nchar* f() { return getenv(\"X\"); }"),
    )

    def archive(self, code):
        self.plant("a.cc", code)
        subprocess.run(["c++", "-std=c++20", "-c", "a.cc", "-o", "a.o"], cwd=self.root, check=True)
        library = self.root / "enclave_core/liba.a"
        library.parent.mkdir(exist_ok=True)
        library.unlink(missing_ok=True)
        subprocess.run(["ar", "rcs", str(library), "a.o"], cwd=self.root, check=True)

    def test_planted_symbols_are_caught(self):
        for name, code in self.PLANTED:
            with self.subTest(code=code):
                self.archive(code)
                found = check_link_graph.check(self.root)
                self.assertTrue(any(f"no {name} of its own" in f for f in found), found)

    def test_pure_code_passes_and_an_empty_build_does_not(self):
        self.assertEqual(len(check_link_graph.check(self.root)), 1)
        self.archive("#include <string>\nstd::string f(int timeout) { return std::to_string(timeout); }")
        self.assertEqual(check_link_graph.check(self.root), [])

    def test_programs_are_told_apart(self):
        enclave, host = check_link_graph.HOST_OBJECT, check_link_graph.ENCLAVE_ACTOR
        for path in ("host_proxy/CMakeFiles/x.dir/http.cc.o", "actors/CMakeFiles/coffer_actors_host.dir/host/a.cc.o",
                     "actors/libcoffer_host_actors.a", "tools/libcoffer_tools.a"):
            self.assertRegex(path, enclave)
            self.assertNotRegex(path, host)
        for path in ("actors/CMakeFiles/coffer_actors_enclave.dir/enclave/a.cc.o", "actors/libcoffer_enclave_actors.a"):
            self.assertRegex(path, host)
            self.assertNotRegex(path, enclave)


class Sources(unittest.TestCase):
    def test_blanking_keeps_lines_and_code(self):
        text = 'a /* b\nc */ d // e\n"f//g" h R"x(i\n"j)x" k 1\'000 \'"\' l\n'
        blank = sources.without_comments_and_literals(text)
        self.assertEqual(blank.count("\n"), text.count("\n"))
        self.assertEqual("".join(blank.split()), "adhk1'000l")


if __name__ == "__main__":
    unittest.main()
