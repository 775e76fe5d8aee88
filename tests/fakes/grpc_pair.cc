// Both ends of gRPC, by the library for C++ and without generated code: messages are bytes.
//
//   grpc_pair serve …   the server that grpc_origin.py is
//   grpc_pair call …    the client that grpc_client.py is

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "common/flags/flags.h"

namespace {

using nlohmann::json;
using std::chrono::system_clock;

constexpr std::chrono::seconds kCallTime{20};
constexpr std::chrono::milliseconds kSlowCallTime{500};
constexpr std::string_view kService = "/test.Echo/";

grpc::ByteBuffer ToBuffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string ToBytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices)
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

void Print(const json& line) {
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

// Of one call: one operation after the other, each awaited.
class Operations {
 public:
  ~Operations() {
    queue_.Shutdown();
    while (Next() != nullptr) {
    }
  }

  grpc::CompletionQueue* queue() { return &queue_; }
  // What an operation is begun with.
  void* tag() { return this; }
  // What announces the call's end, if that was asked for.
  void* end_tag() { return &queue_; }
  // Of the operation that was begun: whether it did anything.
  bool Await() {
    while (Next() != tag()) {
    }
    return did_something_;
  }
  void AwaitEnd() {
    while (!ended_) Next();
  }

 private:
  // Null: there is no more.
  void* Next() {
    void* tag = nullptr;
    if (!queue_.Next(&tag, &did_something_)) return nullptr;
    if (tag == end_tag()) ended_ = true;
    return tag;
  }

  grpc::CompletionQueue queue_;
  bool did_something_ = false;
  bool ended_ = false;
};

// Messages of a stream; either side's.
template <typename Stream>
std::optional<std::string> Read(Stream* stream, Operations* operations) {
  grpc::ByteBuffer message;
  stream->Read(&message, operations->tag());
  if (!operations->Await()) return std::nullopt;
  return ToBytes(message);
}

template <typename Stream>
bool Write(Stream* stream, Operations* operations, const std::string& message) {
  stream->Write(ToBuffer(message), operations->tag());
  return operations->Await();
}

// A call as the server sees it.
class ServerCall {
 public:
  ServerCall() { context_.AsyncNotifyWhenDone(operations_.end_tag()); }

  void Request(grpc::AsyncGenericService* service, grpc::ServerCompletionQueue* notified) {
    service->RequestCall(&context_, &stream_, operations_.queue(), notified, this);
  }
  void Serve() {
    stream_.Finish(Answer(), operations_.tag());
    operations_.Await();
    operations_.AwaitEnd();
  }

 private:
  std::optional<std::string> Read() { return ::Read(&stream_, &operations_); }
  bool Write(const std::string& message) { return ::Write(&stream_, &operations_, message); }

  grpc::Status Answer() {
    const std::string& method = context_.method();
    if (method == "/test.Echo/Unary") {
      const std::string message = Read().value_or("");
      context_.AddTrailingMetadata("echo", message);
      context_.AddTrailingMetadata("blob-bin", std::string("\x00\xff", 2));
      Write(message);
    } else if (method == "/test.Echo/ClientStream") {
      size_t count = 0;
      size_t bytes = 0;
      for (std::optional<std::string> message = Read(); message.has_value(); message = Read()) {
        ++count;
        bytes += message->size();
      }
      Write(std::to_string(count) + " " + std::to_string(bytes));
    } else if (method == "/test.Echo/ServerStream") {
      const std::string message = Read().value_or("");
      const int times = message.empty() ? 0 : static_cast<unsigned char>(message[0]);
      for (int i = 0; i < times; ++i) Write(message);
    } else if (method == "/test.Echo/Bidi") {
      for (std::optional<std::string> message = Read(); message.has_value(); message = Read())
        Write(*message);
    } else if (method == "/test.Echo/Fail") {
      Write(Read().value_or(""));
      return {grpc::StatusCode::RESOURCE_EXHAUSTED, "no more: ü %"};
    } else if (method == "/test.Echo/Slow") {
      const std::chrono::duration<double> left = context_.deadline() - system_clock::now();
      operations_.AwaitEnd();
      Print({{"event", "slow"}, {"left", left.count()}});
    } else {
      return {grpc::StatusCode::UNIMPLEMENTED, "no such method"};
    }
    return grpc::Status::OK;
  }

  Operations operations_;
  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter stream_{&context_};
};

int Serve(const std::string& certificate, const std::string& tls, const std::string& plain) {
  const std::string pem = ReadFile(certificate);
  grpc::SslServerCredentialsOptions options;
  options.pem_key_cert_pairs.push_back({pem, pem});
  grpc::AsyncGenericService service;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(tls, grpc::SslServerCredentials(options));
  builder.AddListeningPort(plain, grpc::InsecureServerCredentials());
  builder.RegisterAsyncGenericService(&service);
  const std::unique_ptr<grpc::ServerCompletionQueue> calls = builder.AddCompletionQueue();
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  Print({{"event", "ready"}});
  (new ServerCall)->Request(&service, calls.get());
  void* tag = nullptr;
  bool ok = false;
  while (calls->Next(&tag, &ok)) {
    std::thread([call = std::unique_ptr<ServerCall>(static_cast<ServerCall*>(tag))] {
      call->Serve();
    }).detach();
    (new ServerCall)->Request(&service, calls.get());
  }
  return 0;
}

std::string NameOf(grpc::StatusCode code) {
  static const std::map<grpc::StatusCode, std::string> names = {
      {grpc::StatusCode::OK, "OK"},
      {grpc::StatusCode::DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"},
      {grpc::StatusCode::RESOURCE_EXHAUSTED, "RESOURCE_EXHAUSTED"},
      {grpc::StatusCode::UNIMPLEMENTED, "UNIMPLEMENTED"},
  };
  const auto found = names.find(code);
  return found == names.end() ? std::to_string(code) : found->second;
}

// A call with streams, as the client sees it.
class ClientCall {
 public:
  ClientCall(grpc::GenericStub* stub, std::string_view method, system_clock::duration time) {
    context_.set_deadline(system_clock::now() + time);
    stream_ = stub->PrepareCall(&context_, std::string(kService) + std::string(method),
                                operations_.queue());
    stream_->StartCall(operations_.tag());
    operations_.Await();
  }

  bool Write(const std::string& message) { return ::Write(stream_.get(), &operations_, message); }
  // After the last message.
  std::optional<std::string> Read() { return ::Read(stream_.get(), &operations_); }
  void EndWriting() {
    stream_->WritesDone(operations_.tag());
    operations_.Await();
  }
  grpc::Status Finish() {
    grpc::Status status;
    stream_->Finish(&status, operations_.tag());
    operations_.Await();
    return status;
  }

 private:
  Operations operations_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
};

json Unary(grpc::GenericStub* stub) {
  Operations operations;
  grpc::ClientContext context;
  context.set_deadline(system_clock::now() + kCallTime);
  context.AddMetadata("x-one", "1");
  const auto call =
      stub->PrepareUnaryCall(&context, "/test.Echo/Unary", ToBuffer("hello"), operations.queue());
  call->StartCall();
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->Finish(&answer, &status, operations.tag());
  operations.Await();
  if (!status.ok()) return status.error_message();
  const auto trailer = [&context](const char* name) -> std::string {
    const auto found = context.GetServerTrailingMetadata().find(name);
    if (found == context.GetServerTrailingMetadata().end()) return "";
    return {found->second.data(), found->second.size()};
  };
  std::string blob;
  for (const unsigned char byte : trailer("blob-bin")) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    blob += {kDigits[byte / 16], kDigits[byte % 16]};
  }
  return {ToBytes(answer), trailer("echo"), blob};
}

struct Streamed {
  std::vector<std::string> answers;
  grpc::Status status;
};

// Every answer to these messages.
Streamed Stream(grpc::GenericStub* stub, std::string_view method,
                const std::vector<std::string>& messages, system_clock::duration time = kCallTime) {
  ClientCall call(stub, method, time);
  for (const std::string& message : messages) call.Write(message);
  call.EndWriting();
  Streamed streamed;
  for (auto answer = call.Read(); answer.has_value(); answer = call.Read())
    streamed.answers.push_back(*std::move(answer));
  streamed.status = call.Finish();
  return streamed;
}

// Each message is sent when the one before has come back.
std::vector<std::string> PingPong(grpc::GenericStub* stub, int rounds) {
  ClientCall call(stub, "Bidi", kCallTime);
  std::vector<std::string> answers;
  for (int i = 0; i < rounds; ++i) {
    call.Write(std::to_string(i));
    answers.push_back(call.Read().value_or(""));
  }
  call.EndWriting();
  if (!call.Finish().ok()) answers.clear();
  return answers;
}

// `roots` is a file of certificates; empty: no TLS.
int Call(const std::string& target, const std::string& authority, const std::string& roots) {
  grpc::ChannelArguments arguments;
  arguments.SetString("grpc.default_authority", authority);
  arguments.SetInt("grpc.enable_http_proxy", 0);
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (!roots.empty()) {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = ReadFile(roots);
    credentials = grpc::SslCredentials(options);
    arguments.SetSslTargetNameOverride(authority);
  }
  grpc::GenericStub stub(grpc::CreateCustomChannel(target, credentials, arguments));
  std::string large;
  for (int i = 0; i < 2 * 1024 * 1024; ++i) large += static_cast<char>(i);
  json result;
  result["unary"] = Unary(&stub);
  result["large"] = Stream(&stub, "Bidi", {large}).answers == std::vector<std::string>{large};
  const std::vector<std::string> many(50, std::string(100'000, 'x'));
  const Streamed summed = Stream(&stub, "ClientStream", many);
  result["client_stream"] = summed.answers.empty() ? "" : summed.answers[0];
  const Streamed repeated = Stream(&stub, "ServerStream", {"\xc8" + std::string(10'000, 'x')});
  result["server_stream"] = repeated.answers.size();
  result["bidi"] = PingPong(&stub, 20);
  const Streamed failed = Stream(&stub, "Fail", {"one"});
  result["fail"] = {failed.answers, NameOf(failed.status.error_code()),
                    failed.status.error_message()};
  result["unknown"] = NameOf(Stream(&stub, "Nothing", {"x"}).status.error_code());
  const auto slow_begin = std::chrono::steady_clock::now();
  const Streamed slow = Stream(&stub, "Slow", {"x"}, kSlowCallTime);
  const auto slow_time = std::chrono::steady_clock::now() - slow_begin;
  result["slow"] = {NameOf(slow.status.error_code()), slow_time < std::chrono::seconds(5)};
  Print(result);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::string certificate;
  std::string tls;
  std::string plain;
  sallyport::FlagSet flags("grpc_pair", "Both ends of gRPC.", sallyport::Positional::kAnywhere);
  flags.set_arguments("serve | call TARGET AUTHORITY ROOTS");
  flags.String("certificate", &certificate, "FILE", "The server's, and its key, in PEM.");
  flags.String("tls", &tls, "ADDRESS:PORT", "Where the server listens.");
  flags.String("plain", &plain, "ADDRESS:PORT", "Where the server listens, without TLS.");
  const std::vector<std::string> rest = flags.ParseOrExit({argv + 1, argv + argc});
  if (rest == std::vector<std::string>{"serve"}) return Serve(certificate, tls, plain);
  if (rest.size() == 4 && rest[0] == "call") return Call(rest[1], rest[2], rest[3]);
  std::fprintf(stderr, "grpc_pair: serve or call\n");
  return 2;
}
