// The examples as programs: started, asked, ended by a signal.

#include <fcntl.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "proto/sallyport/v1/handler.grpc.pb.h"

namespace {

namespace v1 = sallyport::v1;

// A program that prints "listening on ADDRESS". Killed if it is still there at the end.
class Program {
 public:
  explicit Program(std::vector<std::string> command) {
    int out[2];
    if (::pipe2(out, O_CLOEXEC) != 0) std::abort();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(out[1], STDOUT_FILENO);
      std::vector<char*> argv;
      for (std::string& argument : command) argv.push_back(argument.data());
      argv.push_back(nullptr);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(out[1]);
    FILE* lines = ::fdopen(out[0], "r");
    char line[256] = "";
    if (std::fgets(line, sizeof(line), lines) != nullptr) address_ = line;
    std::fclose(lines);
    const size_t space = address_.rfind(' ');
    if (space != address_.npos)
      address_ = address_.substr(space + 1, address_.find('\n') - space - 1);
  }
  ~Program() {
    if (pid_ > 0) ::kill(pid_, SIGKILL);
    if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
  }

  const std::string& address() const { return address_; }
  // Exit code after `signal` (0: none).
  int End(int signal) {
    if (signal != 0) ::kill(pid_, signal);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_ = -1;
  std::string address_;
};

struct Ask {
  std::string handler;
  std::string method = "GET";
  std::string path = "/";
  std::string body = "";
  std::string container = "web-1";
};

// The handler's messages in short, ReadBody left out.
std::string Call(const Program& program, const Ask& ask) {
  const auto stub = v1::OutboundHandler::NewStub(
      grpc::CreateChannel(program.address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  const auto stream = stub->Handle(&context);
  v1::HandleRequest start;
  start.mutable_start()->mutable_context()->set_handler(ask.handler);
  start.mutable_start()->mutable_context()->set_container_id(ask.container);
  start.mutable_start()->set_method(ask.method);
  start.mutable_start()->set_path(ask.path);
  start.mutable_start()->set_has_body(!ask.body.empty());
  stream->Write(start);
  std::string all;
  v1::HandleResponse response;
  while (stream->Read(&response)) {
    if (response.has_read_body()) {
      v1::HandleRequest piece;
      piece.set_body(ask.body);
      stream->Write(piece);
      piece.mutable_end();
      stream->Write(piece);
    } else if (response.has_respond()) {
      all += std::to_string(response.respond().status()) + " ";
    } else if (response.has_body()) {
      all += response.body();
    } else if (response.has_forward()) {
      for (const v1::Header& header : response.forward().set_headers()) {
        all += "forward " + header.name() + ": " + header.value();
      }
    }
  }
  const grpc::Status status = stream->Finish();
  return status.ok() ? all : "failed: " + status.error_message();
}

std::string TempFile(const std::string& name, const std::string& text) {
  const std::string path = std::string(std::getenv("TEST_TMPDIR")) + "/" + name;
  std::ofstream(path) << text;
  return path;
}

constexpr char kBearerToken[] = "examples/bearer_token/bearer_token";

TEST(ExamplesTest, BearerTokenFromAFileThatChanges) {
  const std::string file = TempFile("token", "s3cret\n");
  Program program(
      {kBearerToken, "--listen", "127.0.0.1:0", "--token-file", file, "--handler=github"});
  EXPECT_EQ(Call(program, {"github"}), "forward authorization: Bearer s3cret");
  TempFile("token", "rotated");
  EXPECT_EQ(Call(program, {"github"}), "forward authorization: Bearer rotated");
  TempFile("token", "");
  EXPECT_EQ(Call(program, {"github"}), "failed: the token cannot be read");
  EXPECT_EQ(program.End(SIGTERM), 0);
}

TEST(ExamplesTest, BearerTokenFromTheEnvironment) {
  ::setenv("EXAMPLE_TOKEN", "from-env", 1);
  Program program({kBearerToken, "--listen", "127.0.0.1:0", "--token-env", "EXAMPLE_TOKEN"});
  EXPECT_EQ(Call(program, {"bearer-token"}), "forward authorization: Bearer from-env");
  EXPECT_EQ(program.End(SIGINT), 0);
}

TEST(ExamplesTest, BearerTokenSaysWhatIsWrong) {
  EXPECT_EQ(Program({kBearerToken}).End(0), 2);
  EXPECT_EQ(Program({kBearerToken, "--nonsense"}).End(0), 2);
  ::setenv("EXAMPLE_TOKEN", "t", 1);
  EXPECT_EQ(
      Program({kBearerToken, "--token-env", "EXAMPLE_TOKEN", "--listen", "203.0.113.1:1"}).End(0),
      1);
}

TEST(ExamplesTest, KvKeepsValuesForEachContainer) {
  Program program({"examples/kv/kv", "--listen", "127.0.0.1:0"});
  EXPECT_EQ(Call(program, {"kv", "GET", "/a"}), "404 no such key\n");
  EXPECT_EQ(Call(program, {"kv", "PUT", "/a", "hello"}), "204 ");
  EXPECT_EQ(Call(program, {"kv", "GET", "/a"}), "200 hello");
  EXPECT_EQ(Call(program, {"kv", "GET", "/a", "", "web-2"}), "404 no such key\n");
  EXPECT_EQ(Call(program, {"kv", "DELETE", "/a"}), "204 ");
  EXPECT_EQ(Call(program, {"kv", "GET", "/a"}), "404 no such key\n");
  EXPECT_EQ(Call(program, {"kv", "POST", "/a"}), "405 GET, PUT or DELETE\n");
}

}  // namespace
