#include "cli/doctor/runtimes.h"

#include <algorithm>
#include <chrono>
#include <initializer_list>

#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "cli/doctor/run_program.h"
#include "common/base/strings.h"

namespace sallyport::cli {
namespace {

// Of a JVM that starts on a busy machine.
constexpr std::chrono::seconds kTime{30};

constexpr char kPython[] =
    "import sys, urllib.error, urllib.request\n"
    "try:\n"
    "    urllib.request.urlopen(sys.argv[1], timeout=20).read()\n"
    "except urllib.error.HTTPError:\n"
    "    pass\n";
constexpr char kNode[] =
    "require('https').get(process.argv[1], answer => answer.resume())"
    ".on('error', error => { console.error(error.message); process.exit(1); });";
// In every Java there is, also one without a compiler. It asks for a list of revoked certificates,
// by Java's own client and what that trusts, and says what became of it.
constexpr char kJava[] = "sun.security.tools.keytool.Main";

// Asks a module proxy for a module, by Go's own client, without compiling anything. What it is
// answered is no module, and Go says what it has read.
constexpr char kGo[] =
    "folder=$(mktemp -d) && cd \"$folder\" && "
    "env GOPROXY='{url}' GONOSUMDB='*' GOFLAGS=-mod=mod GOPATH=\"$folder\" "
    "go mod download example.invalid/none@v1.0.0; "
    "status=$?; cd /; rm -rf \"$folder\"; exit $status";

// Every container has it, and nobody else: see common/policy/decide.cc.
constexpr char kCheckHost[] = "check.sallyport.internal";

struct Runtime {
  std::string name;
  std::vector<std::string> command;   // {url}, {host} and {port} stand for the URL's.
  std::vector<std::string> answered;  // Any of it in the output is an answer, too.
  std::string advice;
  std::string complaint = "";  // Begins the line that says what is wrong: the last of those.
};

const std::vector<Runtime>& Runtimes() {
  static const auto* const runtimes = new std::vector<Runtime>{
      {"curl",
       {"curl", "--silent", "--show-error", "--output", "/dev/null", "--max-time", "20", "{url}"},
       {},
       "set CURL_CA_BUNDLE=/etc/sallyport/certs/bundle.crt",
       "curl: ("},
      {"wget",
       {"wget", "-q", "-O", "/dev/null", "{url}"},
       {"server returned error"},
       "put `ca_certificate = /etc/sallyport/certs/bundle.crt` into /etc/wgetrc"},
      // With an openssl beside it, it has that verify. Else most builds look at no certificates.
      {"busybox",
       {"busybox", "wget", "-q", "-O", "/dev/null", "{url}"},
       {"server returned error", "not an http or ftp url", "applet not found"},
       "set SSL_CERT_FILE=/etc/sallyport/certs/bundle.crt for the openssl that it asks, or use a "
       "wget or curl that verifies certificates itself"},
      {"git",
       {"git", "ls-remote", "{url}"},
       {"not found", "not valid", "The requested URL returned error"},
       "set GIT_SSL_CAINFO=/etc/sallyport/certs/bundle.crt"},
      {"openssl",
       {"openssl", "s_client", "-brief", "-verify_return_error", "-connect", "{host}:{port}",
        "-servername", "{host}"},
       {},
       "set SSL_CERT_FILE=/etc/sallyport/certs/bundle.crt"},
      {"python3",
       {"python3", "-c", kPython, "{url}"},
       {},
       "set SSL_CERT_FILE=/etc/sallyport/certs/bundle.crt, and REQUESTS_CA_BUNDLE to the same"},
      {"node",
       {"node", "-e", kNode, "{url}"},
       {},
       "set NODE_EXTRA_CA_CERTS=/etc/sallyport/certs/bundle.crt"},
      {"go",
       {"sh", "-c", kGo},
       {"reading {url}", "invalid character"},
       "set SSL_CERT_FILE=/etc/sallyport/certs/bundle.crt"},
      {"java",
       {"java", kJava, "-printcrl", "-file", "{url}"},
       {"Server returned HTTP response code", "FileNotFoundException: {url}", "CRLException"},
       "run `keytool -importcert -cacerts -noprompt -storepass changeit -alias sallyport -file "
       "/etc/sallyport/certs/sallyport-ca.crt`; where that file cannot be written, with "
       "`-keystore FILE` in place of `-cacerts`, FILE being a copy of it, and set "
       "`JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStore=FILE "
       "-Djavax.net.ssl.trustStorePassword=changeit`"},
  };
  return *runtimes;
}

// Without one that begins so, the last line.
std::string LastLine(const std::string& output, const std::string& beginning) {
  const std::vector<std::string> lines = absl::StrSplit(output, '\n', absl::SkipWhitespace());
  const auto found = std::find_if(lines.rbegin(), lines.rend(), [&](const std::string& line) {
    return line.starts_with(beginning);
  });
  if (found != lines.rend()) return *found;
  return lines.empty() ? "" : lines.back();
}

std::string Insert(const std::string& text, const CheckUrl& url) {
  return absl::StrReplaceAll(text,
                             {{"{url}", url.url}, {"{host}", url.host}, {"{port}", url.port}});
}

bool SaysAny(const std::string& output, std::initializer_list<const char*> texts) {
  return std::any_of(texts.begin(), texts.end(),
                     [&](const char* text) { return output.find(text) != std::string::npos; });
}

// Of the own URL it is known what else it can be than a program that does not trust.
std::string AdviceFor(const Runtime& runtime, const CheckUrl& url, const std::string& output) {
  if (url.host != kCheckHost) return runtime.advice;
  if (SaysAny(output, {"resolve", "bad address", "ENOTFOUND", "EAI_AGAIN", "no such host",
                       "Name or service not known", "UnknownHost", "name resolution"})) {
    return StrCat(
        "Sallyport does not answer here: is this container attached, and has it a policy "
        "(`sallyport container list`)? Its /etc/resolv.conf has to name any server");
  }
  if (SaysAny(output, {"reset", "ECONNRESET", "unexpected eof", "SSL_ERROR_SYSCALL", "errno=104",
                       "Connection refused"})) {
    constexpr std::string_view kNotDecrypted =
        "HTTPS of this container is not decrypted, so there is nothing to trust: its class has "
        "no --intercept-https, or passes this host through";
    // Where the openssl that it asks does not trust, it says no more than that.
    if (runtime.name == "busybox") return StrCat(kNotDecrypted, ". Or: ", runtime.advice);
    return std::string(kNotDecrypted);
  }
  return runtime.advice;
}

Finding Check(const Runtime& runtime, const CheckUrl& url) {
  std::vector<std::string> command = runtime.command;
  for (std::string& word : command) word = Insert(word, url);
  const absl::StatusOr<ProgramEnd> end = RunProgram(command, kTime);
  if (!end.ok()) return {runtime.name, false, std::string(end.status().message()), runtime.advice};
  // wget's 8: the server has answered with an error.
  const bool good =
      end->status == 0 || (runtime.name == "wget" && end->status == 8) ||
      std::any_of(runtime.answered.begin(), runtime.answered.end(), [&](const std::string& text) {
        return end->output.find(Insert(text, url)) != std::string::npos;
      });
  if (good) return {runtime.name, true, "is answered", ""};
  return {runtime.name, false,
          StrCat("exit ", end->status, ": ", LastLine(end->output, runtime.complaint)),
          AdviceFor(runtime, url, end->output)};
}

}  // namespace

std::string OwnCheckUrl() { return StrCat("https://", kCheckHost, "/"); }

absl::StatusOr<CheckUrl> ParseCheckUrl(std::string_view url) {
  constexpr std::string_view kScheme = "https://";
  // Only what needs no quoting, as it becomes part of commands.
  const bool plain = url.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                         "-._~:/%?&=+,@") == url.npos;
  const std::string_view rest = url.substr(std::min(kScheme.size(), url.size()));
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?"));
  const size_t colon = authority.find(':');
  CheckUrl result{std::string(url), std::string(authority.substr(0, colon)),
                  colon == authority.npos ? "443" : std::string(authority.substr(colon + 1))};
  if (!plain || !url.starts_with(kScheme) || result.host.empty() || result.port.empty() ||
      authority.find('@') != authority.npos ||
      result.port.find_first_not_of("0123456789") != result.port.npos) {
    return absl::InvalidArgumentError(StrCat("`", url, "` is not https://HOST[:PORT][/PATH]"));
  }
  return result;
}

std::vector<Finding> CheckRuntimes(const CheckUrl& url) {
  std::vector<Finding> findings;
  for (const Runtime& runtime : Runtimes()) {
    if (HasProgram(runtime.name)) findings.push_back(Check(runtime, url));
  }
  if (findings.empty()) {
    findings.push_back({"programs", false, "none is here that could be tried",
                        "have your own program ask for the URL, or add curl to the image"});
  }
  return findings;
}

}  // namespace sallyport::cli
