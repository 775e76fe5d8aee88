// Certificates, made offline: who may speak with a control plane over TLS, and as what.

#include <google/protobuf/struct.pb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "cli/command.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/pki/authority.h"
#include "common/pki/whole_file.h"

namespace sallyport::cli {
namespace {

constexpr char kDefaultDir[] = "/etc/sallyport/pki";
constexpr char kHelp[] =
    "Usage: sallyport pki init|issue|show|revoke\n\n"
    "A small certificate authority for mutual TLS between sallyportd, agents, handlers and you.\n"
    "Roles: server (sallyportd), admin (may do everything), agent (of the host with its name),\n"
    "handler (registers the handlers with its names), viewer (reads).\n\n"
    "  sallyport pki init\n"
    "  sallyport pki issue server --name cp --dns cp.internal --out /etc/sallyport/tls\n"
    "  sallyport pki issue agent --name host-7 --out ./host-7      # to --tls-dir of that host\n"
    "  sallyport pki issue admin --name alice --out ~/.sallyport   # SALLYPORT_TLS_DIR\n"
    "  sallyport pki revoke ./host-7/tls.crt --out /etc/sallyport/tls\n";

std::chrono::system_clock::time_point Now() { return std::chrono::system_clock::now(); }

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "sallyport: %s\n", std::string(status.message()).c_str());
  return kRefused;
}

absl::Status MakeDirectory(const std::string& dir) {
  std::error_code error;
  const bool made = std::filesystem::create_directories(dir, error);
  if (error) {
    return absl::FailedPreconditionError(
        StrCat("cannot make the directory ", dir, ": ", error.message()));
  }
  if (made) ::chmod(dir.c_str(), 0700);
  return absl::OkStatus();
}

absl::StatusOr<pki::CertificateAndKey> ReadAuthority(const std::string& dir) {
  pki::CertificateAndKey pem;
  absl::StatusOr<std::string> key = pki::ReadWholeFile(dir + "/ca.key");
  if (absl::IsNotFound(key.status())) {
    return absl::FailedPreconditionError(StrCat("there is no CA in ", dir,
                                                "; make one with `sallyport pki init --dir ", dir,
                                                "`, or name its directory with --dir"));
  }
  RETURN_IF_ERROR(key.status());
  pem.key_pem = *std::move(key);
  ASSIGN_OR_RETURN(pem.certificate_pem, pki::ReadWholeFile(dir + "/ca.crt"));
  return pem;
}

int Init(const Arguments& arguments) {
  FlagSet flags("sallyport pki init", "Makes a certificate authority.");
  flags.set_example("sallyport pki init --dir /etc/sallyport/pki");
  std::string dir = kDefaultDir;
  int64_t days = 3650;
  bool json = false;
  flags.String("dir", &dir, "DIR", "Where to put ca.crt and ca.key.");
  flags.Int("days", &days, 1, 36500, "N", "How long it lasts.");
  flags.Bool("json", &json, "Print the answer as JSON.");
  flags.ParseOrExit(arguments);
  const std::string key_path = dir + "/ca.key";
  const std::string certificate_path = dir + "/ca.crt";
  for (const std::string& path : {key_path, certificate_path}) {
    if (::access(path.c_str(), F_OK) == 0) {
      return Fail(absl::AlreadyExistsError(
          StrCat(path, " is there already, and whatever it has issued would not be believed any ",
                 "more; name another directory with --dir")));
    }
  }
  const auto ca = pki::MakeAuthority(std::chrono::hours(24 * days), Now());
  if (!ca.ok()) return Fail(ca.status());
  absl::Status status = MakeDirectory(dir);
  if (status.ok()) status = pki::WriteWholeFile(key_path, ca->key_pem, 0600);
  if (status.ok()) status = pki::WriteWholeFile(certificate_path, ca->certificate_pem, 0644);
  if (!status.ok()) return Fail(status);
  if (json) {
    google::protobuf::Struct answer;
    (*answer.mutable_fields())["certificate"].set_string_value(certificate_path);
    (*answer.mutable_fields())["key"].set_string_value(key_path);
    PrintJson(answer);
    return kDone;
  }
  std::printf(
      "A CA is in %s. Whoever has ca.key may do everything: keep it off the hosts.\nNext:\n"
      "  sallyport pki issue server --dir %s --name cp --dns NAME --out DIR   # sallyportd's\n"
      "  sallyport pki issue agent --dir %s --name HOST --out DIR             # each host's\n"
      "  sallyport pki issue admin --dir %s --name YOU --out DIR              # yours\n"
      "Each DIR goes to --tls-dir of the program that it is for.\n",
      dir.c_str(), dir.c_str(), dir.c_str(), dir.c_str());
  return kDone;
}

void PrintCertificate(const pki::Certificate& certificate, bool json) {
  const auto identity = certificate.identity();
  if (!json) {
    std::printf("%s\nvalid      %s to %s\nserial     %s\n",
                identity.ok() ? identity->ToString().c_str()
                : certificate.is_authority()
                    ? "a certificate authority"
                    : StrCat("nobody: ", identity.status().message()).c_str(),
                pki::FormatTime(certificate.not_before()).c_str(),
                pki::FormatTime(certificate.not_after()).c_str(), certificate.serial().c_str());
    if (!certificate.hosts().empty()) {
      std::printf("dialled by %s\n", absl::StrJoin(certificate.hosts(), ", ").c_str());
    }
    return;
  }
  google::protobuf::Struct answer;
  auto& fields = *answer.mutable_fields();
  fields["role"].set_string_value(identity.ok() ? std::string(pki::RoleName(identity->role)) : "");
  const auto list = [](const std::vector<std::string>& from, google::protobuf::Value* to) {
    to->mutable_list_value();
    for (const std::string& one : from)
      to->mutable_list_value()->add_values()->set_string_value(one);
  };
  list(identity.ok() ? identity->names : std::vector<std::string>(), &fields["names"]);
  list(certificate.hosts(), &fields["hosts"]);
  fields["authority"].set_bool_value(certificate.is_authority());
  fields["notBefore"].set_string_value(pki::FormatTime(certificate.not_before()));
  fields["notAfter"].set_string_value(pki::FormatTime(certificate.not_after()));
  fields["serial"].set_string_value(certificate.serial());
  PrintJson(answer);
}

absl::StatusOr<pki::Certificate> IssueInto(const std::string& out, const std::string& dir,
                                           const pki::CertificateRequest& request) {
  ASSIGN_OR_RETURN(const pki::CertificateAndKey pem, ReadAuthority(dir));
  ASSIGN_OR_RETURN(const pki::Authority authority, pki::Authority::FromPem(pem));
  ASSIGN_OR_RETURN(const pki::CertificateAndKey issued, authority.Issue(request, Now()));
  RETURN_IF_ERROR(MakeDirectory(out));
  // A program that looks in between finds a pair that does not fit, and keeps the former.
  RETURN_IF_ERROR(pki::WriteWholeFile(out + "/ca.crt", pem.certificate_pem, 0644));
  RETURN_IF_ERROR(pki::WriteWholeFile(out + "/tls.key", issued.key_pem, 0600));
  RETURN_IF_ERROR(pki::WriteWholeFile(out + "/tls.crt", issued.certificate_pem, 0644));
  return pki::Certificate::FromPem(issued.certificate_pem);
}

int Issue(const Arguments& arguments) {
  FlagSet flags(
      "sallyport pki issue",
      "Makes a key, and a certificate of a role for it: tls.crt, tls.key and ca.crt, which "
      "--tls-dir takes.",
      Positional::kAnywhere);
  flags.set_arguments("server|admin|agent|handler|viewer");
  flags.set_example("sallyport pki issue agent --name host-7 --out ./host-7");
  std::string dir = kDefaultDir;
  std::string out;
  pki::CertificateRequest request;
  std::vector<std::string> names;
  int64_t days = 365;
  bool json = false;
  flags.StringList("name", &names, "NAME",
                   "Whose it is: the host's name for role agent. Repeatable for role handler: the "
                   "handlers that it may register.");
  flags.StringList("dns", &request.dns_names, "NAME",
                   "A name that the server is dialled by. Repeatable.");
  flags.StringList("ip", &request.addresses, "ADDRESS",
                   "An address that the server is dialled by. Repeatable.");
  flags.Int("days", &days, 1, 3650, "N", "How long it lasts.");
  flags.String("dir", &dir, "DIR", "Where the CA is.");
  flags.String("out", &out, "DIR", "Where to put the files; what is there is replaced. Required.");
  flags.Bool("json", &json, "Print the answer as JSON.");
  const Arguments words = flags.ParseOrExit(arguments);
  if (words.size() != 1) {
    return WrongUsage("pki issue", "give one role: server, admin, agent, handler or viewer");
  }
  if (out.empty()) return WrongUsage("pki issue", "--out is missing");
  if (names.empty()) return WrongUsage("pki issue", "--name is missing");
  const auto role = pki::ParseRole(words[0]);
  if (!role.ok()) return WrongUsage("pki issue", std::string(role.status().message()));
  auto identity = pki::MakeIdentity(*role, names);
  if (!identity.ok()) {
    return WrongUsage("pki issue", StrCat("--name: ", identity.status().message()));
  }
  request.identity = *std::move(identity);
  request.lifetime = std::chrono::hours(24 * days);
  const absl::StatusOr<pki::Certificate> issued = IssueInto(out, dir, request);
  if (absl::IsInvalidArgument(issued.status())) {
    return WrongUsage("pki issue", std::string(issued.status().message()));
  }
  if (!issued.ok()) return Fail(issued.status());
  PrintCertificate(*issued, json);
  if (!json) std::printf("in         %s: tls.crt, tls.key, ca.crt\n", out.c_str());
  return kDone;
}

int Show(const Arguments& arguments) {
  FlagSet flags("sallyport pki show", "Says whose a certificate is, and until when.",
                Positional::kAnywhere);
  flags.set_arguments("FILE");
  flags.set_example("sallyport pki show /etc/sallyport/tls/tls.crt");
  bool json = false;
  flags.Bool("json", &json, "Print the answer as JSON.");
  const Arguments words = flags.ParseOrExit(arguments);
  if (words.size() != 1) return WrongUsage("pki show", "give one file");
  const absl::StatusOr<std::string> pem = pki::ReadWholeFile(words[0]);
  if (!pem.ok()) return Fail(pem.status());
  const absl::StatusOr<pki::Certificate> certificate = pki::Certificate::FromPem(*pem);
  if (!certificate.ok()) {
    return Fail(absl::InvalidArgumentError(StrCat(words[0], " ", certificate.status().message())));
  }
  PrintCertificate(*certificate, json);
  return kDone;
}

absl::Status RevokeFiles(const std::string& dir, const std::string& out, const Arguments& files) {
  ASSIGN_OR_RETURN(const pki::CertificateAndKey pem, ReadAuthority(dir));
  ASSIGN_OR_RETURN(const pki::Authority authority, pki::Authority::FromPem(pem));
  std::vector<pki::Certificate> certificates;
  for (const std::string& file : files) {
    ASSIGN_OR_RETURN(const std::string content, pki::ReadWholeFile(file));
    ASSIGN_OR_RETURN(certificates.emplace_back(), pki::Certificate::FromPem(content));
  }
  absl::StatusOr<std::string> list = pki::ReadWholeFile(dir + "/crl.pem");
  if (absl::IsNotFound(list.status())) list = "";
  RETURN_IF_ERROR(list.status());
  ASSIGN_OR_RETURN(const std::string revoked, authority.Revoke(*list, certificates, Now()));
  RETURN_IF_ERROR(pki::WriteWholeFile(dir + "/crl.pem", revoked, 0644));
  if (out.empty()) return absl::OkStatus();
  return pki::WriteWholeFile(out + "/crl.pem", revoked, 0644);
}

int Revoke(const Arguments& arguments) {
  FlagSet flags("sallyport pki revoke",
                "Adds certificates to the CA's revocation list, crl.pem: programs that have it in "
                "their --tls-dir refuse them within a second or two.",
                Positional::kAnywhere);
  flags.set_arguments("FILE…");
  flags.set_example("sallyport pki revoke ./host-7/tls.crt --out /etc/sallyport/tls");
  std::string dir = kDefaultDir;
  std::string out;
  bool json = false;
  flags.String("dir", &dir, "DIR", "Where the CA is.");
  flags.String("out", &out, "DIR", "sallyportd's --tls-dir, if it is on this machine.");
  flags.Bool("json", &json, "Print the answer as JSON.");
  const Arguments files = flags.ParseOrExit(arguments);
  if (files.empty()) return WrongUsage("pki revoke", "give the certificates' files");
  if (const absl::Status status = RevokeFiles(dir, out, files); !status.ok()) return Fail(status);
  if (json) {
    google::protobuf::Struct answer;
    (*answer.mutable_fields())["revocations"].set_string_value(dir + "/crl.pem");
    PrintJson(answer);
  } else if (out.empty()) {
    std::printf("%s/crl.pem has it; copy that to --tls-dir of sallyportd\n", dir.c_str());
  } else {
    std::printf("%s/crl.pem and %s/crl.pem have it\n", dir.c_str(), out.c_str());
  }
  return kDone;
}

int Overview(const Arguments& arguments) {
  const bool help = arguments.size() == 1 && arguments[0] == "--help";
  std::fputs(kHelp, help ? stdout : stderr);
  return help ? kDone : kUsage;
}

}  // namespace

void AddPkiCommands(std::vector<Command>* commands) {
  commands->push_back({"pki", "Certificates for mutual TLS; `pki --help`.", Overview});
  commands->push_back({"pki init", "Makes a certificate authority.", Init});
  commands->push_back({"pki issue", "Makes a certificate of a role.", Issue});
  commands->push_back({"pki show", "Says whose a certificate is.", Show});
  commands->push_back({"pki revoke", "Takes certificates back.", Revoke});
}

}  // namespace sallyport::cli
