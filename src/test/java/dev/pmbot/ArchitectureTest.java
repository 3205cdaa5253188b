package dev.pmbot;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.AccessTarget.CodeUnitAccessTarget;
import com.tngtech.archunit.core.domain.Dependency;
import com.tngtech.archunit.core.domain.JavaAccess;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import com.tngtech.archunit.library.dependencies.SliceAssignment;
import com.tngtech.archunit.library.dependencies.SliceIdentifier;
import java.time.Clock;
import java.time.Instant;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * Who may know whom. A package that does not exist yet breaks no rule here; from its first class on
 * it is held to all of them, and a package that this page does not know fails {@link
 * #everyRoomIsKnownHere}.
 */
final class ArchitectureTest {

  private static final String ROOT = "dev.pmbot";
  private static final String GENERATED = "dev.pmbot.v1..";

  /** Rooms that serve every feature and therefore know none. */
  private static final Set<String> FOUNDATIONS = Set.of("store", "files", "json", "wire", "feed");

  /** Rooms that put the others together or stand in front of them. */
  private static final Set<String> ASSEMBLY = Set.of("cli", "config", "server");

  /** Each feature with those it builds on; what these build on themselves comes along. */
  private static final Map<String, Set<String>> FEATURES =
      Map.ofEntries(
          Map.entry("audit", Set.of()),
          Map.entry("access", Set.of("audit")),
          Map.entry("workspace", Set.of("audit")),
          Map.entry("repo", Set.of("workspace")),
          Map.entry("run", Set.of("repo")),
          Map.entry("approval", Set.of("run")),
          Map.entry("interrupt", Set.of("approval")),
          Map.entry("inbox", Set.of("approval", "interrupt")),
          Map.entry("artifact", Set.of("run")),
          Map.entry("changeset", Set.of("approval")),
          Map.entry("checkpoint", Set.of("interrupt")),
          Map.entry("retrieval", Set.of("repo")));

  private static JavaClasses production;

  @BeforeAll
  static void readTheClasses() {
    production =
        new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .withImportOption(location -> !location.contains("/dev/pmbot/v1/"))
            .importPackages(ROOT);
  }

  @Test
  void everyRoomIsKnownHere() {
    Set<String> unknown = new TreeSet<>();
    for (JavaClass type : production) {
      unknown.add(roomOf(type));
    }
    unknown.remove("");
    unknown.removeAll(FOUNDATIONS);
    unknown.removeAll(ASSEMBLY);
    unknown.removeAll(FEATURES.keySet());
    assertEquals(Set.of(), unknown, "a new room needs its place in the rules of this test");
  }

  @Test
  void storeKnowsNeitherGrpcNorProtobuf() {
    hold(
        noClasses()
            .that()
            .resideInAPackage(inside("store"))
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("io.grpc..", "com.google.protobuf..", "com.google.rpc..", GENERATED)
            .because("the store outlives the wire format"));
  }

  @Test
  void foundationsKnowNoFeature() {
    hold(
        noClasses()
            .that()
            .resideInAnyPackage(inside(FOUNDATIONS))
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(inside(FEATURES.keySet()))
            .because("a feature that a foundation needs is handed in as a hook by ControlPlane"));
  }

  @Test
  void nothingKnowsWhatAssemblesIt() {
    hold(
        noClasses()
            .that()
            .resideInAnyPackage(inside(FOUNDATIONS))
            .or()
            .resideInAnyPackage(inside(FEATURES.keySet()))
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(inside("cli"), inside("server"), ROOT)
            .because("wiring looks at the rooms, never the other way round"));
  }

  @Test
  void generatedTypesStayAtTheEdge() {
    hold(
        noClasses()
            .that(not(named("Service")).and(not(named("Protos"))))
            .and()
            .resideOutsideOfPackages(inside("wire"), inside("server"), inside("cli"))
            .and(not(controlPlane()))
            .should()
            .dependOnClassesThat()
            .resideInAPackage(GENERATED)
            .because("a change of the API must not reach the rules and the rows"));
  }

  /** What belongs to a service or to the way there, and would make its file too long. */
  private static final DescribedPredicate<JavaClass> CALLS_IN_THE_MAKING =
      describe(
          "interceptors, uploads and downloads",
          type ->
              type.getSimpleName().endsWith("Interceptor")
                  || Set.of("Upload", "Download").contains(outermost(type).getSimpleName()));

  @Test
  void domainClassesKnowNoGrpc() {
    hold(
        noClasses()
            .that(not(named("Service")).and(not(named("Protos"))).and(not(CALLS_IN_THE_MAKING)))
            .and()
            .resideInAnyPackage(inside(FEATURES.keySet()))
            .should()
            .dependOnClassesThat()
            .resideInAPackage("io.grpc..")
            .because("domain methods never see a stream observer or a status"));
  }

  @Test
  void myBatisStaysInMappersAndTheStore() {
    hold(
        noClasses()
            .that(not(named("Mapper")))
            .and()
            .resideOutsideOfPackage(inside("store"))
            .should()
            .dependOnClassesThat()
            .resideInAPackage("org.apache.ibatis..")
            .because("SQL is looked for in one kind of file"));
  }

  @Test
  void aMapperIsUsedOnlyInItsOwnPackage() {
    hold(
        noClasses()
            .that(not(controlPlane()))
            .should(reachForAMapperElsewhere())
            .because("a feature reaches another through its domain class"));
  }

  @Test
  void servicesAreFinal() {
    hold(
        classes()
            .that()
            .haveSimpleNameEndingWith("Service")
            .and()
            .areNotInterfaces()
            .and()
            .areTopLevelClasses()
            .should()
            .haveModifier(JavaModifier.FINAL)
            .because("a service translates, calls and replies; nothing is built on top of it"));
  }

  @TestFactory
  Stream<DynamicTest> featuresKnowOnlyThoseTheyBuildOn() {
    return FEATURES.keySet().stream()
        .sorted()
        .map(feature -> DynamicTest.dynamicTest(feature, () -> holdsItsPlace(feature)));
  }

  @Test
  void featuresAreFreeOfCycles() {
    hold(slices().assignedFrom(oneSliceAFeature()).should().beFreeOfCycles());
  }

  @Test
  void theClockAndTheIdSourceAreInjected() {
    hold(
        noClasses()
            .that()
            .doNotHaveFullyQualifiedName("dev.pmbot.store.SystemTime")
            .and()
            .doNotHaveFullyQualifiedName("dev.pmbot.store.Ids")
            .should()
            .accessTargetWhere(
                describe(
                    "asks the machine for the time or an id", ArchitectureTest::asksTheMachine))
            .because("a test must be able to say what time it is and which id comes next"));
  }

  @Test
  void onlyIdsMakesIds() {
    hold(
        noClasses()
            .that()
            .doNotHaveFullyQualifiedName("dev.pmbot.store.Ids")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("com.github.f4b6a3..")
            .because("a test must be able to say which id comes next"));
  }

  private static void holdsItsPlace(String feature) {
    Set<String> others = new TreeSet<>(FEATURES.keySet());
    others.removeAll(below(feature));
    others.remove(feature);
    hold(
        noClasses()
            .that()
            .resideInAPackage(inside(feature))
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(inside(others))
            .because("where the arrow would turn round, the lower room offers a hook"));
  }

  /** Everything that a feature builds on, directly or not. */
  private static Set<String> below(String feature) {
    Set<String> found = new TreeSet<>();
    for (String next : FEATURES.getOrDefault(feature, Set.of())) {
      found.add(next);
      found.addAll(below(next));
    }
    return found;
  }

  /** An overload with a Clock reads the clock it was given; only the others ask the machine. */
  private static boolean asksTheMachine(JavaAccess<?> access) {
    JavaClass owner = access.getTargetOwner();
    String name = access.getTarget().getName();
    return (owner.isEquivalentTo(Instant.class) && name.equals("now") && takesNothing(access))
        || (owner.isEquivalentTo(Clock.class) && name.startsWith("system"))
        || (owner.isEquivalentTo(System.class) && name.equals("currentTimeMillis"))
        || (owner.isEquivalentTo(UUID.class) && name.equals("randomUUID"));
  }

  private static boolean takesNothing(JavaAccess<?> access) {
    return access.getTarget() instanceof CodeUnitAccessTarget target
        && target.getRawParameterTypes().isEmpty();
  }

  private static SliceAssignment oneSliceAFeature() {
    return new SliceAssignment() {
      @Override
      public SliceIdentifier getIdentifierOf(JavaClass type) {
        String room = roomOf(type);
        return FEATURES.containsKey(room) ? SliceIdentifier.of(room) : SliceIdentifier.ignore();
      }

      @Override
      public String getDescription() {
        return "one slice a feature";
      }
    };
  }

  /** A lambda, an anonymous or a nested class is judged by the file it is written in. */
  private static DescribedPredicate<JavaClass> named(String suffix) {
    return describe("named *" + suffix, type -> outermost(type).getSimpleName().endsWith(suffix));
  }

  private static DescribedPredicate<JavaClass> controlPlane() {
    return describe(
        "ControlPlane", type -> outermost(type).getFullName().equals(ROOT + ".ControlPlane"));
  }

  private static ArchCondition<JavaClass> reachForAMapperElsewhere() {
    return new ArchCondition<>("reach for a mapper of another package") {
      @Override
      public void check(JavaClass type, ConditionEvents events) {
        for (Dependency dependency : type.getDirectDependenciesFromSelf()) {
          JavaClass target = dependency.getTargetClass();
          boolean elsewhere =
              target.getPackageName().startsWith(ROOT + ".")
                  && outermost(target).getSimpleName().endsWith("Mapper")
                  && !target.getPackageName().equals(type.getPackageName());
          if (elsewhere) {
            events.add(SimpleConditionEvent.satisfied(type, dependency.getDescription()));
          }
        }
      }
    };
  }

  private static JavaClass outermost(JavaClass type) {
    return type.getEnclosingClass().map(ArchitectureTest::outermost).orElse(type);
  }

  /** The first package below the root; "" for the root itself and for classes that are not ours. */
  private static String roomOf(JavaClass type) {
    String name = type.getPackageName();
    return name.startsWith(ROOT + ".") ? name.substring(ROOT.length() + 1).split("\\.", 2)[0] : "";
  }

  private static String inside(String room) {
    return ROOT + "." + room + "..";
  }

  private static String[] inside(Set<String> rooms) {
    return rooms.stream().map(ArchitectureTest::inside).toArray(String[]::new);
  }

  private static void hold(ArchRule rule) {
    rule.allowEmptyShould(true).check(production);
  }
}
