package dev.pmbot.kit;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.google.protobuf.Message;
import io.grpc.Channel;
import io.grpc.MethodDescriptor;
import io.grpc.ServiceDescriptor;
import io.grpc.protobuf.ProtoMethodDescriptorSupplier;
import io.grpc.reflection.v1.ServerReflectionGrpc;
import io.grpc.reflection.v1.ServerReflectionRequest;
import io.grpc.reflection.v1.ServerReflectionResponse;
import io.grpc.reflection.v1.ServiceResponse;
import io.grpc.stub.StreamObserver;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** Every method that a running server has, as the server itself says. */
public final class Methods {
  private static final String OURS = "pmbot.v1.";

  private Methods() {}

  /** One method of ours. */
  public record Method(MethodDescriptor<?, ?> descriptor) {
    /** Its full name without the package, such as {@code RunService/GetRun}. */
    public String name() {
      return descriptor.getFullMethodName().substring(OURS.length());
    }

    /** Whether its client sends one message. */
    public boolean takesOneMessage() {
      return descriptor.getType().clientSendsOneMessage();
    }

    /** Whether it answers with a stream. */
    public boolean answersWithStream() {
      return !descriptor.getType().serverSendsOneMessage();
    }

    /** An empty message of the type that it takes. */
    public Message emptyRequest() {
      MethodDescriptor.PrototypeMarshaller<?> marshaller =
          (MethodDescriptor.PrototypeMarshaller<?>) descriptor.getRequestMarshaller();
      return (Message) marshaller.getMessagePrototype();
    }

    /** Its description in the contract. */
    public com.google.protobuf.Descriptors.MethodDescriptor contract() {
      return ((ProtoMethodDescriptorSupplier) descriptor.getSchemaDescriptor())
          .getMethodDescriptor();
    }

    @Override
    public String toString() {
      return name();
    }
  }

  /** Every method of every service of ours that the server lists. */
  public static List<Method> of(TestServer server) {
    List<Method> methods = new ArrayList<>();
    for (String service : services(server.connect())) {
      if (service.startsWith(OURS)) {
        descriptor(service).getMethods().forEach(method -> methods.add(new Method(method)));
      }
    }
    return methods;
  }

  private static ServiceDescriptor descriptor(String service) {
    try {
      Class<?> generated =
          Class.forName("dev.pmbot.v1." + service.substring(OURS.length()) + "Grpc");
      return (ServiceDescriptor) generated.getMethod("getServiceDescriptor").invoke(null);
    } catch (ReflectiveOperationException failure) {
      throw new AssertionError("no generated class for " + service, failure);
    }
  }

  /** Every service that a server lists by reflection, ours and others. */
  public static List<String> services(Channel channel) {
    ServerReflectionResponse answer =
        ask(channel, ServerReflectionRequest.newBuilder().setListServices("").build());
    return answer.getListServicesResponse().getServiceList().stream()
        .map(ServiceResponse::getName)
        .toList();
  }

  /** What a server answers to one question of reflection. */
  public static ServerReflectionResponse ask(Channel channel, ServerReflectionRequest question) {
    CompletableFuture<ServerReflectionResponse> answer = new CompletableFuture<>();
    StreamObserver<ServerReflectionRequest> questions =
        ServerReflectionGrpc.newStub(channel)
            .serverReflectionInfo(
                new StreamObserver<>() {
                  @Override
                  public void onNext(ServerReflectionResponse response) {
                    answer.complete(response);
                  }

                  @Override
                  public void onError(Throwable failure) {
                    answer.completeExceptionally(failure);
                  }

                  @Override
                  public void onCompleted() {
                    answer.completeExceptionally(new AssertionError("no answer came"));
                  }
                });
    questions.onNext(question);
    ServerReflectionResponse response = Await.value("an answer of reflection", answer);
    questions.onCompleted();
    assertEquals(question, response.getOriginalRequest());
    return response;
  }
}
