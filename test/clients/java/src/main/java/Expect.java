import java.util.Objects;
import software.amazon.awssdk.awscore.exception.AwsServiceException;

/** What the steps expect. Each throws a {@link Failure} that says what was expected when it is not so. */
final class Expect {
    static final class Failure extends RuntimeException {
        Failure(String message) {
            super(message);
        }
    }

    private Expect() {}

    static void holds(boolean so, String expected) {
        if (!so) {
            throw new Failure("expected " + expected);
        }
    }

    /** Prints what it compares: names and dates, not values of secrets. */
    static void equal(String what, Object got, Object want) {
        holds(Objects.equals(got, want), what + " to be " + want + ", got " + got);
    }

    /** Expects a call to throw an error of the SDK's class, and returns that error. */
    static <E extends AwsServiceException> E fails(Class<E> type, Runnable call) {
        AwsServiceException error = thrown(call, type.getSimpleName());
        holds(type.isInstance(error), type.getSimpleName() + ", got " + error);
        return type.cast(error);
    }

    /** Expects a call to throw an error with a code for which the SDK has no class. */
    static void failsWith(String code, Runnable call) {
        AwsServiceException error = thrown(call, code);
        holds(code.equals(error.awsErrorDetails().errorCode()), code + ", got " + error);
    }

    private static AwsServiceException thrown(Runnable call, String expected) {
        try {
            call.run();
        } catch (AwsServiceException error) {
            return error;
        }
        throw new Failure("expected " + expected + ", got no error");
    }
}
